# frozen_string_literal: true

# Handlers for the test `conformance` of tasker-cli: what may happen to the process of a worker.

require 'logger'
require 'tasker_core'

TaskerCore.logger = Logger.new($stdout, formatter: ->(severity, _, name, line) { "LOGGED #{severity} #{name} #{line}\n" })

# Ends its thread in its first attempt.
TaskerCore.register('odd.kills_its_thread', lambda do |step|
  Thread.current.kill if step.attempt == 1
  'alive'
end)

# Goes on after its time, and cannot be ended from outside.
TaskerCore.register('odd.outlasts', lambda do |step|
  began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  if step.attempt == 1
    sleep 0.05 until step.cancelled?
    sleep 1
  end
  Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
end)

# Forks, and tells what the child was told.
TaskerCore.register('odd.forks', lambda do |step|
  reading, writing = IO.pipe
  pid = fork do
    step.context
  rescue TaskerCore::ForkError => e
    writing.write(e.message)
    writing.close
    exit!(0)
  end
  writing.close
  told = reading.read
  Process.wait(pid)
  told
end)

TaskerCore.register('odd.noop', ->(_) {})
