# frozen_string_literal: true

module TaskerCore
  # A handler: a class whose objects run one attempt of a step each.
  #
  # What `call` returns is the step's result, or an Outcome. Any exception is retried as the template
  # says; a PermanentError is not.
  class Handler
    def call(_step)
      raise NotImplementedError, "#{self.class} has no method call(step)"
    end
  end
end
