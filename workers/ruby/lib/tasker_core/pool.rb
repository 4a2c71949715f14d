# frozen_string_literal: true

module TaskerCore
  # The threads that run handlers. One that a handler ends is replaced.
  class Pool
    # `source` has `take(attempt)`; `lost` is called in a thread that comes to an end.
    def initialize(source, handlers, size, &lost)
      @source = source
      @handlers = handlers
      @size = size
      @lost = lost
      @threads = []
    end

    # Starts the threads that are missing.
    def fill
      @threads.select!(&:alive?)
      @threads << start while @threads.size < @size
    rescue ThreadError => e
      warn "tasker-worker: could not start a thread: #{e.message}" # The next call tries again.
    end

    # Waits until all have ended; whether they have.
    def join(seconds)
      by = now + seconds
      @threads.all? { |thread| ended?(thread, [by - now, 0].max) }
    end

    private

    def start
      Thread.new do
        Thread.current.name = 'tasker handler'
        # Handlers and those who kill their threads are to blame, and are told by the outcome.
        Thread.current.report_on_exception = false
        serve
      ensure
        @lost&.call
      end
    end

    def serve
      loop do
        # There before the event is, so that whatever ends the thread, the attempt is answered.
        attempt = Native::Attempt.new
        begin
          break unless @source.take(attempt)

          Runner.run(@handlers, attempt)
        ensure
          attempt.abandon
        end
      end
    end

    def ended?(thread, seconds)
      !thread.join(seconds).nil?
    rescue Exception # Of the thread, which ended by it.
      true
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
