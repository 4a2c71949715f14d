# frozen_string_literal: true

module TaskerCore
  # placeholder
  class Client
  end
end
