# frozen_string_literal: true

require 'spec_helper'

RSpec.describe 'handlers in threads' do
  it 'run at the same time when they wait' do
    arrived = Queue.new
    together = ->(_) { (arrived << 1) && (Thread.pass until arrived.size == 5) }

    Stage.open(together, threads: 5) do |stage|
      numbers = Array.new(5) { stage.native.start({}, {}) }
      expect(numbers.map { |number| stage.native.outcome(number).first }).to all(be(true))
    end
  end

  it 'are given back each what belongs to it' do
    Stage.open(->(step) { step.context['n'] + step.input['m'] }, threads: 4, buffer_size: 10) do |stage|
      numbers = (0...2000).map { |n| stage.native.start({ n: n }, { m: 1 }) }
      results = numbers.map { |number| stage.native.outcome(number) }

      expect(results).to eq((1..2000).map { |n| [true, n] })
    end
  end

  it 'survive a garbage collection at every allocation' do
    deep = { 'list' => [1, 2.5, nil, { 'ü' => %w[a b] }], 'text' => 'x' * 100 }
    handler = lambda do |step|
      raise TaskerCore::RetryableError.new('again', details: step.context) if step.input['fail']

      [step.context, step.name, step.deadline.to_i.positive?, step.dependencies]
    end
    Stage.open(handler) do |stage|
      GC.stress = true
      outcomes = Array.new(10) { |n| stage.run(deep, { fail: n.odd? }) }
      GC.stress = false

      expect(outcomes.values_at(0, 2, 4, 6, 8)).to all(eq([true, [deep, 'step', true, {}]]))
      expect(outcomes.values_at(1, 3, 5, 7, 9)).to all(match([false, /again.*ü/]))
    end
  ensure
    GC.stress = false
  end

  it 'wait without keeping others from running' do
    counted = 0
    Stage.open(->(_) {}, threads: 3) do |stage|
      counting = Thread.new { counted += 1 until counted == 100_000 }
      counting.join
      expect(stage.run.first).to be(true)
    end
    expect(counted).to eq(100_000)
  end

  it 'can be killed while they wait for a step' do
    Stage.open(->(_) { 1 }, threads: 2) do |stage|
      threads = stage.pool.instance_variable_get(:@threads).dup
      threads.each(&:kill)
      threads.each(&:join)
      stage.pool.fill

      expect(stage.run).to eq([true, 1])
    end
  end
end
