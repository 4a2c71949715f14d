# frozen_string_literal: true

# The handlers of workers/conformance, for the worker in Ruby.

require 'fiddle'
require 'tasker_core'

HANDLERS = {
  'sum' => ->(step) { 1 + step.dependencies.values.sum },
  'fetched' => ->(step) { step.input['names'].sum { |name| step.dependency(name) } },
  'given' => lambda do |step|
    {
      context: step.context, input: step.input, dependencies: step.dependencies, name: step.name,
      handler: step.handler, namespace: step.namespace, template: step.template,
      attempt: step.attempt, max_attempts: step.max_attempts, cancelled: step.cancelled?
    }
  end,
  'retry_after' => lambda do |step|
    if step.attempt <= step.input['times']
      raise TaskerCore::RetryableError.new('busy', retry_after: step.input['after_ms'] / 1000.0)
    end

    step.attempt
  end,
  'refuse' => lambda do |step|
    raise TaskerCore::PermanentError.new(step.input['message'], kind: 'no_card', details: { card: 4 })
  end,
  'error' => ->(step) { raise step.input['message'] },
  'error_with_nul' => ->(_) { raise "a\0b" },
  'hang' => ->(_) { sleep },
  'until_cancelled' => lambda do |step|
    step.wait_cancelled
    'wound down'
  end,
  # With the interpreter's lock held all the time, as by a library that never gives it up.
  'block' => lambda do |step|
    usleep = Fiddle::Handle::DEFAULT['usleep']
    function = Fiddle::Function.new(usleep, [Fiddle::TYPE_INT], Fiddle::TYPE_INT, need_gvl: true)
    function.call(step.input['ms'] * 1000)
    nil
  end,
  'large' => ->(step) { 'x' * step.input['bytes'] },
  'length' => ->(step) { step.dependency('large').length },
  'nul' => ->(_) { { text: "a\0b" } },
  'deep' => ->(step) { step.input['levels'].times.reduce(nil) { |inner, _| [inner] } },
  'in_ruby' => ->(_) { 'ruby' }
}.freeze

HANDLERS.each { |name, handler| TaskerCore.register("conformance.#{name}", handler) }
TaskerCore.register('conformance.late', ->(_) { 'late' }) if ENV['CONFORMANCE_LATE']
