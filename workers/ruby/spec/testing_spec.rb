# frozen_string_literal: true

require 'spec_helper'

class ChargeCard < TaskerCore::Handler
  def call(step)
    raise TaskerCore::PermanentError, 'there is nothing to pay' if step.context['cents'].zero?
    raise TaskerCore::RetryableError.new('the bank is busy', retry_after: 5) if step.attempt == 1

    { from: step.dependency('reserve')['shelf'], last: step.last_attempt?, left: step.deadline > Time.now }
  end
end

RSpec.describe TaskerCore::Testing do
  def run(**options)
    described_class.run(ChargeCard, **options)
  end

  it 'tells what a worker would record' do
    expect(run(context: { cents: 0 })).to have_attributes(verdict: :fail, message: 'there is nothing to pay')
    expect(run(context: { cents: 3 })).to have_attributes(verdict: :retry, after: 5.0, kind: 'handler_failed')
    outcome = run(context: { cents: 3 }, dependencies: { reserve: { shelf: 7 } }, attempt: 2, max_attempts: 2)
    expect(outcome).to have_attributes(verdict: :complete, result: { 'from' => 7, 'last' => true, 'left' => true })
  end

  it 'fails for a dependency that the test has not given' do
    expect(run(context: { cents: 3 }, attempt: 2))
      .to have_attributes(verdict: :fail, kind: 'invalid_input', message: /does not depend on.*"reserve"/)
  end

  it 'refuses results as a worker does' do
    {
      'x' * 1_048_576 => 'result_too_large', "a\0" => 'invalid_result', Object.new => 'invalid_result'
    }.each do |result, kind|
      expect(described_class.run(->(_) { result })).to have_attributes(verdict: :fail, kind: kind)
    end
  end

  it 'tells of exceptions what a worker records of them' do
    outcome = described_class.run(->(_) { Integer('x') })

    expect(outcome).to have_attributes(verdict: :retry, message: /\AArgumentError: invalid value/)
    expect(outcome.details).to include('class' => 'ArgumentError', 'backtrace' => include(/testing_spec/))
  end

  it 'runs cancelled steps' do
    outcome = described_class.run(->(step) { [step.cancelled?, step.wait_cancelled] }, cancelled: true)

    expect(outcome.result).to eq([true, true])
  end
end

RSpec.describe TaskerCore::Outcome do
  it 'takes delays that are numbers of seconds' do
    expect(described_class.retry('busy', after: 2).after).to eq(2.0)
    [-1, Float::NAN, Float::INFINITY].each do |delay|
      expect { described_class.retry('busy', after: delay) }.to raise_error(ArgumentError, /cannot be retried/)
    end
  end

  it 'can be returned' do
    outcome = TaskerCore::Testing.run(->(_) { described_class.fail('no', kind: 'refused', details: { a: 1 }) })

    expect(outcome).to have_attributes(verdict: :fail, message: 'no', kind: 'refused', details: { 'a' => 1 })
  end
end

RSpec.describe 'JSON' do
  it 'comes back from a way through Rust as it went' do
    [nil, true, false, 0, -1, 2**63, 0.1, 1e300, 'täxt 🎉', [], {}, [{ 'a' => [nil] }]].each do |value|
      expect(TaskerCore::Native.through_json(value)).to eq(value)
    end
  end

  it 'has symbols as texts, and objects as what their as_json says' do
    point = Struct.new(:x) { def as_json = { x: x } }

    expect(TaskerCore::Native.through_json({ a: :b, 1 => point.new(2) })).to eq('a' => 'b', '1' => { 'x' => 2 })
  end
end
