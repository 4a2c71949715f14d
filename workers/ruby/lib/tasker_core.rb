# frozen_string_literal: true

require_relative 'tasker_core/version'
require_relative 'tasker_core/errors'
require 'tasker_core/tasker_core'
require_relative 'tasker_core/outcome'
require_relative 'tasker_core/step'
require_relative 'tasker_core/handler'
require_relative 'tasker_core/handlers'
require_relative 'tasker_core/runner'
require_relative 'tasker_core/pool'
require_relative 'tasker_core/worker'
require_relative 'tasker_core/client'

# Handlers for Tasker workflows in Ruby.
#
#   class ChargeCard < TaskerCore::Handler
#     def call(step)
#       { paid: step.context['cents'] }
#     end
#   end
#   TaskerCore.register('payments.charge', ChargeCard)
#
# `tasker-worker --require ./app` receives steps from PostgreSQL, runs the handlers that are registered
# under their names, and records the outcomes.
module TaskerCore
  class << self
    # Takes what the worker logs, where it is set; otherwise that goes to standard error.
    attr_accessor :logger

    # The handlers of the process.
    def handlers
      @handlers ||= Handlers.new
    end

    # Registers a handler under the name that templates use: a class, of which each attempt gets an
    # object of its own, or anything that has `call`.
    def register(name, handler)
      handlers.register(name, handler)
    end

    # Submits a task within the transaction of `connection`, see Client.submit.
    def submit(connection, namespace, name, context = {}, **options)
      Client.submit(connection, namespace, name, context, **options)
    end

    # The metrics of the process, in Prometheus' text format.
    def metrics
      Native.metrics
    end
  end
end
