# frozen_string_literal: true

require 'timeout'
require 'tasker_core'
require 'tasker_core/testing'

# Handlers on the channel and the threads of a worker, without a worker and a database.
class Stage
  BYTES = 16 * 1024 * 1024

  attr_reader :native, :pool

  def initialize(handler, threads: 2, buffer_size: 100, buffer_bytes: BYTES)
    @native = TaskerCore::Native::Detached.new(buffer_size, buffer_bytes)
    handlers = TaskerCore::Handlers.new
    handlers.register('handler', handler)
    @pool = TaskerCore::Pool.new(@native, handlers, threads)
  end

  def self.open(handler, **options)
    stage = new(handler, **options)
    stage.pool.fill
    yield stage
  ensure
    stage.close
  end

  # What one attempt comes to: [true, result], or [false, description].
  def run(context = {}, input = {})
    native.outcome(native.start(context, input))
  end

  def close
    native.close
    raise 'a handler did not end' unless pool.join(10)
  end
end

# Runs a handler once.
def attempt(handler, context = {}, **options)
  Stage.open(handler, **options) { |stage| stage.run(context) }
end

RSpec.configure do |config|
  # A deadline that only what hangs misses.
  config.around { |example| Timeout.timeout(60) { example.run } }
  config.disable_monkey_patching!
  config.expect_with(:rspec) { |it| it.syntax = :expect }
end
