# frozen_string_literal: true

require 'spec_helper'
require 'open3'
require 'rbconfig'

RSpec.describe 'tasker-worker' do
  def run(*arguments, **environment)
    program = File.expand_path('../exe/tasker-worker', __dir__)
    load_path = $LOAD_PATH.flat_map { |folder| ['-I', folder.to_s] }
    environment = { 'DATABASE_URL' => nil, 'TASKER_ENV' => 'test' }.merge(environment.transform_keys(&:to_s))
    output, status = Open3.capture2e(environment, RbConfig.ruby, *load_path, program, *arguments)
    [status.exitstatus, output]
  end

  it 'explains itself' do
    expect(run('--help')).to match([0, /--require PATH.*--namespace NAME.*--concurrency N/m])
    expect(run('--version')).to match([0, /#{TaskerCore::VERSION}/o])
  end

  it 'is of one version with its native part' do
    expect(TaskerCore::VERSION).to eq(TaskerCore::Native::VERSION)
  end

  it 'refuses settings that cannot be used' do
    expect(run('--concurrency', 'many')).to match([2, /invalid argument: --concurrency many/])
    expect(run('--concurrency', '0')).to match([2, /TASKER__WORKER__CONCURRENCY/])
    expect(run('--nonsense')).to match([2, /invalid option/])
    status, output = run(DATABASE_URL: 'postgres://me:secret@nowhere:x/y')
    expect([status, output]).to match([1, /DATABASE_URL/])
    expect(output).not_to include('secret')
  end
end
