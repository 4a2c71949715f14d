# frozen_string_literal: true

require 'optparse'
require 'tasker_core'

module TaskerCore
  # The command `tasker-worker`.
  class Command
    # Exit statuses: not every outcome was recorded; a setting cannot be used; ended by a second signal.
    UNRECORDED = 1
    UNUSABLE = 2
    INTERRUPTED = 130

    def self.run(arguments)
      new.run(arguments)
    end

    def run(arguments)
      options = parse(arguments)
      $stdout.sync = true # Logs are read as they come.
      @required.each { |path| load_app(path) }
      worker = Worker.new(**options)
      stop_on_signals(worker)
      finish(worker, worker.run ? 0 : UNRECORDED)
    rescue OptionParser::ParseError, ConfigurationError => e
      refuse(e, UNUSABLE)
    rescue Error => e
      refuse(e, UNRECORDED)
    end

    private

    def parse(arguments)
      @required = []
      options = {}
      parser(options).parse!(arguments.dup)
      options
    end

    def parser(options)
      OptionParser.new do |it|
        it.banner = 'Usage: tasker-worker --require ./app [options]'
        it.separator 'Runs step handlers in Ruby. DATABASE_URL says where the database is.'
        it.version = VERSION
        it.on('--require PATH', 'a file that registers handlers; may be repeated') { |path| @required << path }
        it.on('--namespace NAME', 'take steps of this namespace; may be repeated; all where none is named') do |name|
          (options[:namespaces] ||= []) << name
        end
        it.on('--concurrency N', Integer, 'most handlers that run at the same time') { |n| options[:concurrency] = n }
        it.on('--name NAME', 'name of this worker; no other process may have it') { |name| options[:name] = name }
        it.on('--drain-timeout-seconds N', Float, 'how long handlers may go on after SIGTERM') do |seconds|
          options[:drain_timeout_seconds] = seconds
        end
      end
    end

    # `./app` is a file, as with `ruby ./app`; all else is found as `require` finds it.
    def load_app(path)
      require(path.start_with?('.', '/') ? File.expand_path(path) : path)
    end

    def stop_on_signals(worker)
      signals = 0
      %w[TERM INT].each do |signal|
        trap(signal) do
          signals += 1
          exit!(INTERRUPTED) if signals > 1
          worker.stop
        end
      end
    end

    # A handler that nothing ends is not waited for.
    def finish(worker, status)
      return status unless worker.busy?

      $stdout.flush
      $stderr.flush
      exit!(status)
    end

    def refuse(error, status)
      warn "tasker-worker: #{error.message}"
      status
    end
  end
end
