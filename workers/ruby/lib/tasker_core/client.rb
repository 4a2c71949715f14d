# frozen_string_literal: true

require 'json'

module TaskerCore
  # Submits tasks and reads them, over the SQL functions of docs/worker-protocol.md: a connection of its
  # own, for programs and tests; not to be shared by threads. It needs the gem `pg`.
  class Client
    GET = 'select tasker.get_task($1)'
    CHANNEL = "select tasker.channel('task_state')"
    ENDED = %w[complete error cancelled resolved_manually].freeze
    # A task that ended unnoticed is found after so many seconds.
    POLL_SECONDS = 5.0

    class << self
      # Submits a task on the caller's connection, in its transaction: the task exists when that commits.
      # Answers its UUID, or that of the first task where the idempotency key is known.
      #
      # The connection is one of Active Record (`ActiveRecord::Base.connection`) or of the gem `pg`.
      def submit(connection, namespace, name, context = {}, version: nil, priority: 0, idempotency_key: nil)
        text = JSON.generate(Native.through_json(context), max_nesting: false)
        values = [namespace.to_s, name.to_s, text, version, Integer(priority), idempotency_key]
        if connection.respond_to?(:exec_params)
          connection.exec_params(statement((1..6).map { |n| "$#{n}" }), values).getvalue(0, 0)
        else
          # Not by a method whose answers the query cache keeps: a task that is submitted twice is two.
          quoted = values.map { |value| connection.quote(value) }
          connection.exec_query(statement(quoted)).rows.first.first
        end
      end

      # A client for the time of the block.
      def open(database_url = ENV.fetch('DATABASE_URL'))
        client = new(database_url)
        yield client
      ensure
        client&.close
      end

      private

      def statement(values)
        namespace, name, context, version, priority, key = values
        "select tasker.submit_task(#{namespace}, #{name}, #{context}::jsonb, p_version => #{version}, " \
          "p_priority => #{priority}, p_idempotency_key => #{key})"
      end
    end

    def initialize(database_url = ENV.fetch('DATABASE_URL'))
      require 'pg'
      @connection = PG.connect(database_url)
    rescue LoadError
      raise ConfigurationError, 'TaskerCore::Client needs the gem pg: add it to your Gemfile'
    end

    def close
      @connection.close
    end

    # Submits a task; it is durable when this returns.
    def submit(namespace, name, context = {}, **options)
      Client.submit(@connection, namespace, name, context, **options)
    end

    # The task with its steps, as a hash with strings as keys.
    def get(task_uuid)
      text = @connection.exec_params(GET, [task_uuid]).getvalue(0, 0)
      raise NotFound, "there is no task #{task_uuid}" if text.nil?

      JSON.parse(text, max_nesting: false)
    end

    # The task once it has ended.
    def wait(task_uuid, timeout: 60.0)
      by = now + timeout
      # Listens before it looks, so that an end in between is not missed.
      listening do
        loop do
          task = get(task_uuid)
          return task if ENDED.include?(task['state'])

          left = by - now
          raise WaitTimeout, "task #{task_uuid} is still #{task['state']}" if left <= 0

          wait_for_news(task_uuid, [left, POLL_SECONDS].min)
        end
      end
    end

    private

    def listening
      channel = @connection.quote_ident(@connection.exec(CHANNEL).getvalue(0, 0))
      @connection.exec("listen #{channel}")
      yield
    ensure
      @connection.exec("unlisten #{channel}") if channel
    end

    # Waits for a notification that names the task.
    def wait_for_news(task_uuid, seconds)
      by = now + seconds
      while (left = by - now).positive?
        named = false
        @connection.wait_for_notify(left) { |_, _, payload| named = payload.include?(task_uuid) }
        return if named
      end
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
