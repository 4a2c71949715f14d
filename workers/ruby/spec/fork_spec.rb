# frozen_string_literal: true

require 'spec_helper'

RSpec.describe 'a fork' do
  # What the block prints in a child process.
  def in_child
    reading, writing = IO.pipe
    pid = fork do
      reading.close
      writing.write(yield)
      writing.close
      GC.start
      exit!(0)
    end
    writing.close
    answer = reading.read
    Process.wait(pid)
    expect($?.success?).to be(true)
    answer
  end

  it 'is told that the worker is not there' do
    Stage.open(->(_) { 1 }) do |stage|
      stage.run
      answer = in_child do
        stage.run
      rescue TaskerCore::ForkError => e
        e.message
      end

      expect(answer).to include('start workers after the fork')
    end
  end

  it 'frees nothing of the worker' do
    stage = Stage.new(->(_) { 1 })
    numbers = Array.new(10) { stage.native.start({}, {}) }
    answer = in_child do
      stage = nil
      GC.start
      'done'
    end
    expect(answer).to eq('done')
    stage.pool.fill
    expect(numbers.map { |number| stage.native.outcome(number).first }).to all(be(true))
    stage.close
  end
end
