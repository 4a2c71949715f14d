# frozen_string_literal: true

module TaskerCore
  # The worker of the process: Rust threads receive steps and record outcomes, Ruby threads run the
  # handlers.
  class Worker
    # How often it is seen to that all threads are there, if none has said so.
    CHECK_SECONDS = 1.0
    # How long threads whose attempts are over get to end by themselves.
    END_SECONDS = 1.0

    # What is nil comes from the environment and the configuration of Tasker.
    def initialize(handlers: TaskerCore.handlers, namespaces: nil, concurrency: nil, name: nil,
                   drain_timeout_seconds: nil, logger: TaskerCore.logger)
      @handlers = handlers
      @logger = logger
      @options = {
        namespaces: namespaces && Array(namespaces), concurrency: concurrency, name: name,
        drain_timeout_seconds: drain_timeout_seconds, forward_logs: !logger.nil?
      }
    end

    # Runs until `stop`, and until running handlers have ended or their time is over; whether every
    # outcome was recorded.
    def run
      @native = Native::Worker.start(@handlers.names, @options)
      @native.stop if @stopping
      forwarding = forward_logs if @logger
      native = @native
      @pool = Pool.new(native, @handlers, native.concurrency) { native.wake }
      wait_for_the_end
    rescue SignalException # Ctrl-C where it is not trapped: the worker drains, unless there is another.
      @native&.stop
      wait_for_the_end if @native
      raise
    ensure
      close(forwarding) if @native
    end

    # Begins to drain: nothing more is received. Signal handlers may call it.
    def stop
      @stopping = true
      @native&.stop
    end

    # Whether a handler still runs that did not end in time.
    def busy?
      !@pool.nil? && !@pool.join(END_SECONDS)
    end

    private

    def wait_for_the_end
      loop do
        @pool.fill
        complete = @native.wait(CHECK_SECONDS)
        return complete unless complete.nil?
      end
    end

    def close(forwarding)
      @native.stop
      @native.close
      forwarding&.join(END_SECONDS)
    end

    def forward_logs
      Thread.new do
        while (severity, line = @native.next_line)
          @logger.add(severity, line, 'tasker')
        end
      end
    end
  end
end
