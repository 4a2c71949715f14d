# frozen_string_literal: true

require 'spec_helper'

RSpec.describe 'the channel ruby_events' do
  def series(start)
    lines = TaskerCore.metrics.lines.select { |line| line.start_with?(start) && line.include?('channel="ruby_events"') }
    lines.sum { |line| line.split.last.to_f }
  end

  def refused
    lines = TaskerCore.metrics.lines.grep(/\Ampsc_send_failures_total.*"ruby_events".*error="full"/)
    lines.sum { |line| line.split.last.to_f }
  end

  it 'fills when handlers do not keep up, and loses nothing' do
    gate = Queue.new
    handler = lambda do |step|
      gate.pop
      step.context['n']
    end
    Stage.open(handler, threads: 1, buffer_size: 2) do |stage|
      numbers = (0...50).map { |n| stage.native.start({ n: n }, {}) }
      50.times { gate << 1 }

      expect(numbers.map { |number| stage.native.outcome(number) }).to eq((0...50).map { |n| [true, n] })
    end
  end

  it 'counts what it refused and how full it is' do
    stage = Stage.new(->(_) { 1 }, buffer_size: 2)
    numbers = Array.new(2) { stage.native.start({}, {}) }
    Thread.pass until series('mpsc_channel_saturation') == 1
    before = refused
    number = stage.native.start({}, {})
    Thread.pass until refused > before

    expect(series('mpsc_channel_saturation')).to eq(1)
    numbers << number
    stage.pool.fill
    expect(numbers.map { |number| stage.native.outcome(number) }).to all(eq([true, 1]))
    stage.close
  end

  it 'is bounded by bytes as well, except for one step alone' do
    large = { text: 'x' * 10_000 }
    Stage.open(->(step) { step.context['text'].size }, buffer_bytes: 1024) do |stage|
      numbers = Array.new(10) { stage.native.start(large, {}) }

      expect(numbers.map { |number| stage.native.outcome(number) }).to all(eq([true, 10_000]))
    end
  end

  it 'drops what its attempt has not waited for' do
    ran = Queue.new
    stage = Stage.new(->(step) { (ran << step.context['n']) && nil }, buffer_size: 5)
    ended, wanted = [1, 2].map { |n| stage.native.start({ n: n }, {}) }
    Thread.pass until series('mpsc_channel_saturation') >= 0.4
    stage.native.end(ended)
    expect(stage.native.outcome(ended)).to match([false, /cancelled/])
    stage.pool.fill

    expect(stage.native.outcome(wanted).first).to be(true)
    stage.close
    expect(Array.new(ran.size) { ran.pop }).to eq([2])
  end

  it 'has the steps that wait in it tried again when Ruby stops' do
    stage = Stage.new(->(_) { 1 }, buffer_size: 1)
    stage.native.close

    expect(stage.run).to match([false, /worker_stopped.*FFI channel closed/])
  end
end
