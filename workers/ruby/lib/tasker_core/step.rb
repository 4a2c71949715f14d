# frozen_string_literal: true

module TaskerCore
  # One attempt of one step, in the hands of its handler.
  class Step
    def initialize(attempt)
      @attempt = attempt
    end

    # What the task was submitted with. Objects are hashes with strings as keys.
    def context
      @context = @attempt.context unless defined?(@context)
      @context
    end

    # What the template says as `input` of this step; an empty hash where it says nothing.
    def input
      @input = @attempt.input unless defined?(@input)
      @input
    end

    # Results of all steps it depends on, by name; none where the template says
    # `dependency_results: on_request`.
    def dependencies
      @dependencies ||= @attempt.dependencies
    end

    # The result of the step `name`, which the template lists in `depends_on`; read from the database
    # where the template says `dependency_results: on_request`.
    def dependency(name)
      name = name.to_s
      return dependencies[name] if dependencies.key?(name)

      result, retryable = fetched = @attempt.fetch_dependency(name)
      return result if fetched.size == 1
      raise RetryableError.new(result, kind: 'dependency_unavailable') if retryable

      raise PermanentError.new(result, kind: 'invalid_input')
    end

    # The same in every attempt: a good idempotency key for the systems that the handler calls.
    def step_uuid = facts[:step_uuid]

    def task_uuid = facts[:task_uuid]

    # Name of the step in its template.
    def name = facts[:name]

    # Name of the handler.
    def handler = facts[:handler]

    def namespace = facts[:namespace]

    # The template, as `namespace/name@version`.
    def template = facts[:template]

    # Which attempt this is, from 1.
    def attempt = facts[:attempt]

    def max_attempts = facts[:max_attempts]

    # Whether a failure of this attempt is the end of the step.
    def last_attempt? = attempt >= max_attempts

    # Priority of the task.
    def priority = facts[:priority]

    # Seconds that the attempt may take.
    def timeout = facts[:timeout]

    # When the worker ends the attempt.
    def deadline = Time.at(facts[:deadline])

    # Whether the outcome is not wanted any more: the task was cancelled, or the attempt is over.
    def cancelled? = @attempt.cancelled?

    # Waits until `cancelled?`, or so many seconds; whether it is. After the task was cancelled a handler
    # has five seconds to wind down.
    def wait_cancelled(seconds = nil) = @attempt.wait_cancelled(seconds&.to_f)

    # Whether the outcome is still wanted. The lease needs no help: the worker extends it from a thread
    # that no handler can block.
    def heartbeat = !cancelled?

    def inspect
      "#<#{self.class} #{template} #{name} #{step_uuid} attempt #{attempt}>"
    end

    private

    def facts
      @facts ||= @attempt.facts
    end
  end
end
