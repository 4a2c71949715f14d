# frozen_string_literal: true

module TaskerCore
  # The outcome of an attempt, for handlers that would rather return it than raise.
  class Outcome
    HANDLER_FAILED = 'handler_failed'
    MOST_LINES = 100

    attr_reader :verdict, :result, :message, :kind, :details, :after

    def initialize(verdict, result: nil, message: nil, kind: HANDLER_FAILED, details: nil, after: nil)
      @verdict = verdict
      @result = result
      @message = message
      @kind = kind
      @details = details
      @after = after
    end

    class << self
      # The step is complete with this result.
      def complete(result = nil)
        new(:complete, result: result)
      end

      # The attempt failed; the next one follows the template's policy, or `after` so many seconds.
      def retry(message = nil, after: nil, kind: HANDLER_FAILED, details: nil)
        new(:retry, message: message, kind: kind, details: details, after: seconds(after))
      end

      # The step fails permanently, whatever attempts are left.
      def fail(message = nil, kind: HANDLER_FAILED, details: nil)
        new(:fail, message: message, kind: kind, details: details)
      end

      # What a handler returned: an outcome, or the result of a complete step.
      def of(returned)
        returned.is_a?(Outcome) ? returned : complete(returned)
      end

      # Any exception is retried, with its class, message and backtrace; ours say what follows.
      def of_exception(error)
        text = text_of(error)
        case error
        when PermanentError then fail(text, kind: error.kind, details: error.details)
        when RetryableError
          self.retry(text, after: error.retry_after, kind: error.kind, details: error.details)
        else
          name = error.class.to_s
          self.retry(text == name ? name : "#{name}: #{text}", details: details_of(error, name))
        end
      end

      # A delay as a number; refuses what is none.
      def seconds(delay)
        return if delay.nil?

        number = Float(delay)
        return number if number.finite? && number >= 0

        raise ArgumentError, "a step cannot be retried after #{delay.inspect} seconds"
      end

      # A text as it can be stored.
      def storable(text)
        text = text.to_s
        text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace) unless text.encoding == Encoding::UTF_8
        text.scrub.tr("\0", "\ufffd")
      end

      private

      def text_of(error)
        storable(error.message)
      rescue StandardError # An exception whose text raises is still a failure of the handler.
        '(its text cannot be read)'
      end

      def details_of(error, name)
        lines = (error.backtrace || []).first(MOST_LINES).map { |line| storable(line) }
        details = { 'class' => name, 'backtrace' => lines }
        cause = error.cause
        details['cause'] = "#{cause.class}: #{text_of(cause)}" if cause
        details
      end
    end

    # Hands the outcome to the runtime.
    def answer(attempt)
      case verdict
      when :complete then attempt.complete(result)
      when :retry then attempt.retry(Outcome.storable(message), Outcome.storable(kind), details, after)
      else attempt.fail(Outcome.storable(message), Outcome.storable(kind), details)
      end
    end
  end
end
