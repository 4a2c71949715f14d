# frozen_string_literal: true

require 'spec_helper'

RSpec.describe TaskerCore::Handlers do
  subject(:handlers) { described_class.new }

  it 'gives each attempt an object of its own' do
    counting = Class.new(TaskerCore::Handler) { def call(_) = @count = (@count || 0) + 1 }
    handlers.register('count', counting)

    expect(Array.new(2) { handlers.call('count', nil) }).to eq([1, 1])
  end

  it 'refuses a name twice, that of a built-in handler, and what cannot be called' do
    handlers.register('a', ->(_) {})

    expect { handlers.register('a', ->(_) {}) }.to raise_error(ArgumentError, /two handlers are named "a"/)
    expect { handlers.register('builtin.a', ->(_) {}) }.to raise_error(ArgumentError, /reserved/)
    expect { handlers.register('b', Object) }.to raise_error(ArgumentError, /no method call/)
    expect(handlers.names).to eq(['a'])
  end

  it 'says what a handler without a method lacks' do
    handlers.register('lazy', Class.new(TaskerCore::Handler))

    expect { handlers.call('lazy', nil) }.to raise_error(NotImplementedError, /no method call/)
  end
end
