# frozen_string_literal: true

require 'tasker_core'

module TaskerCore
  # Runs handlers without a worker and without a database, for unit tests of handlers.
  module Testing
    # What a worker would record of one attempt, as an Outcome: `verdict` is :complete, :retry or :fail.
    # Everything passes through JSON, as it does there.
    def self.run(handler, context: {}, input: {}, dependencies: {}, **facts)
      attempt = Attempt.new(context, input, dependencies, **facts)
      handlers = Handlers.new
      handlers.register('handler', handler)
      Runner.run(handlers, attempt)
      attempt.outcome
    end

    # An attempt in a test: what Native::Attempt is in a worker.
    class Attempt
      attr_reader :context, :input, :dependencies, :facts, :handler, :outcome

      def initialize(context, input, dependencies, cancelled: false, timeout: 30.0, **facts)
        @context = Native.through_json(context)
        @input = Native.through_json(input)
        @dependencies = Native.through_json(dependencies)
        @handler = 'handler'
        @cancelled = cancelled
        @facts = {
          name: 'step', handler: 'handler', namespace: 'test', template: 'test/template@1.0.0',
          task_uuid: '00000000-0000-0000-0000-000000000000',
          step_uuid: '00000000-0000-0000-0000-000000000001', attempt: 1, max_attempts: 1, priority: 0,
          timeout: timeout, deadline: Time.now.to_f + timeout
        }.merge(facts)
      end

      def cancelled? = @cancelled

      def wait_cancelled(seconds)
        raise Error, 'the step of this test is not cancelled: run it with cancelled: true' unless @cancelled || seconds

        @cancelled
      end

      def fetch_dependency(name)
        ["step \"step\" does not depend on a step named #{name.inspect}; give it one with dependencies:", false]
      end

      def complete(result)
        stored, kind = Native.stored_result(result)
        @outcome = kind ? Outcome.fail(stored, kind: kind) : Outcome.complete(stored)
      end

      def retry(message, kind, details, after)
        @outcome = Outcome.retry(message, kind: kind, details: details_of(details), after: after)
      end

      def fail(message, kind, details)
        @outcome = Outcome.fail(message, kind: kind, details: details_of(details))
      end

      private

      def details_of(details)
        Native.through_json(details)
      rescue ResultError => e
        "left out: #{e.message}"
      end
    end
  end
end
