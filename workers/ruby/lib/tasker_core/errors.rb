# frozen_string_literal: true

module TaskerCore
  # The worker cannot do what it is asked to.
  class Error < StandardError; end

  # A setting that cannot be used.
  class ConfigurationError < Error; end

  # A worker is used in a fork of the process that started it.
  class ForkError < Error; end

  # What is to be stored is no JSON.
  class ResultError < Error; end

  # There is no such task.
  class NotFound < Error; end

  # A task did not end in time.
  class WaitTimeout < Error; end

  # Raised by a handler: what it says of the failure, besides a message.
  class HandlerError < StandardError
    attr_reader :kind, :details

    def initialize(message = nil, kind: Outcome::HANDLER_FAILED, details: nil)
      super(message)
      @kind = kind
      @details = details
    end
  end

  # Raised by a handler: the step fails permanently, whatever attempts are left.
  class PermanentError < HandlerError; end

  # Raised by a handler: the attempt failed, and another one may succeed, after `retry_after` seconds
  # where they are given.
  class RetryableError < HandlerError
    attr_reader :retry_after

    def initialize(message = nil, retry_after: nil, **options)
      super(message, **options)
      @retry_after = Outcome.seconds(retry_after)
    end
  end
end
