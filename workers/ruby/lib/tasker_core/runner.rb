# frozen_string_literal: true

module TaskerCore
  # Runs one attempt and hands over what it came to, whatever the handler does.
  module Runner
    module_function

    # Of exceptions all: what a handler raises is no reason to end the worker.
    def run(handlers, attempt)
      outcome_of(handlers, attempt).answer(attempt)
    rescue Exception => e # Of a result, while it was read.
      Outcome.of_exception(e).answer(attempt)
    end

    def outcome_of(handlers, attempt)
      Outcome.of(handlers.call(attempt.handler, Step.new(attempt)))
    rescue Exception => e
      Outcome.of_exception(e)
    end
  end
end
