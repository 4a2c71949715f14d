# frozen_string_literal: true

require 'spec_helper'
require 'timeout'

RSpec.describe 'a handler that misbehaves' do
  def failure(handler, **options)
    completed, description = attempt(handler, **options)
    expect(completed).to be(false)
    description
  end

  it 'has its exception retried with class, message and backtrace' do
    description = failure(->(_) { raise KeyError, 'no such card' })

    expect(description).to include('Retry(None)', 'handler_failed', 'KeyError: no such card', 'faults_spec.rb')
  end

  it 'may raise what is no StandardError' do
    [NoMemoryError, ScriptError, SecurityError, SystemStackError, Interrupt, Class.new(Exception)].each do |error|
      expect(failure(->(_) { raise error, 'odd' })).to include('odd', 'Retry(None)')
    end
  end

  it 'may exit, abort or throw without ending the process' do
    expect(failure(->(_) { exit 3 })).to include('SystemExit')
    expect(failure(->(_) { throw :nowhere })).to include('UncaughtThrowError')
    expect(failure(->(_) { Timeout.timeout(0.01) { sleep } })).to include('Timeout::Error')
  end

  it 'may recurse without end' do
    recursive = Class.new(TaskerCore::Handler) { def call(step) = call(step) }

    expect(failure(recursive)).to include('SystemStackError')
  end

  it 'may end its thread, which is replaced' do
    [-> { Thread.current.kill }, -> { Thread.exit }, -> { Thread.current.raise(Exception, 'from elsewhere') }]
      .each do |ending|
        handler = ->(step) { step.context['end'] ? ending.call : 'fine' }
        Stage.open(handler, threads: 1) do |stage|
          expect(stage.run({ end: true }).first).to be(false)
          stage.pool.fill until stage.pool.instance_variable_get(:@threads).all?(&:alive?)
          stage.pool.fill
          expect(stage.run).to eq([true, 'fine'])
        end
      end
  end

  it 'may be killed from outside while it waits' do
    thread = Queue.new
    handler = lambda do |_|
      thread << Thread.current
      sleep
    end
    Stage.open(handler, threads: 1) do |stage|
      number = stage.native.start({}, {})
      thread.pop.kill

      expect(stage.native.outcome(number)).to match([false, /ended without an outcome/])
    end
  end

  it 'may return what is no JSON' do
    {
      Object.new => 'of class Object, which is no JSON', Float::NAN => 'NaN', "\xff" => 'not UTF-8',
      "\xff".b => 'not UTF-8', { Object.new => 1 } => 'as a key', 2**64 => '64 bits', 1..2 => 'Range'
    }.each do |result, reason|
      expect(failure(->(_) { result })).to include('Fail', 'invalid_result', reason)
    end
  end

  it 'may return what holds itself' do
    circle = []
    circle << circle

    expect(failure(->(_) { circle })).to include('deeper than 100 levels')
  end

  it 'may return what raises or ends the thread when it is read' do
    raising = Class.new { def as_json = raise('unreadable') }
    killing = Class.new { def as_json = Thread.current.kill }

    expect(failure(->(_) { raising.new })).to include('RuntimeError: unreadable')
    expect(failure(->(_) { killing.new })).to include('ended without an outcome')
  end

  it 'may raise what cannot be told' do
    mute = Class.new(StandardError) { def message = raise('no') }
    expect(failure(->(_) { raise mute })).to include('cannot be read')
    expect(failure(->(_) { raise "\xff\0" })).to include('RuntimeError', "\ufffd")
    expect(failure(->(_) { raise 'latin: ä'.encode('ISO-8859-1') })).to include('latin: ä')
    details = { at: Object.new }
    expect(failure(->(_) { raise TaskerCore::PermanentError.new('no', details: details) })).to include('left out')
  end

  it 'may return a lot' do
    expect(attempt(->(_) { 'x' * 50_000_000 }).last.size).to eq(50_000_000)
  end

  it 'learns that its attempt is over, and its late result changes nothing' do
    ended = Queue.new
    handler = lambda do |step|
      step.wait_cancelled
      ended << step.cancelled?
      'late'
    end
    Stage.open(handler, threads: 1) do |stage|
      number = stage.native.start({}, {})
      stage.native.end(number)

      expect(stage.native.outcome(number)).to match([false, /cancelled/])
    end
    expect(ended.size).to be <= 1
  end

  it 'learns that its task was cancelled' do
    Stage.open(->(step) { [step.wait_cancelled, step.cancelled?, step.heartbeat] }) do |stage|
      number = stage.native.start({}, {})
      stage.native.cancel(number)

      expect(stage.native.outcome(number)).to eq([true, [true, true, false]])
    end
  end
end

RSpec.describe 'a step after its attempt' do
  it 'says so, and is cancelled' do
    kept = nil
    attempt(->(step) { kept = step })

    expect { kept.context }.to raise_error(TaskerCore::Error, /the attempt is over/)
    expect(kept.cancelled?).to be(true)
  end
end
