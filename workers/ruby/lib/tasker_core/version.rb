# frozen_string_literal: true

module TaskerCore
  VERSION = '0.2.0'
end
