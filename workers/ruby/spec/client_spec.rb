# frozen_string_literal: true

# On a database with a running engine, which the test `conformance` of tasker-cli starts.
require 'spec_helper'

URL = ENV['RUBY_TEST_DATABASE']

RSpec.describe TaskerCore::Client, if: URL do
  around do |example|
    described_class.open(URL) do |client|
      @client = client
      example.run
    end
  end

  it 'waits for a submitted task and shows its results' do
    task_uuid = @client.submit('conformance', 'client', { 'ü' => 1 })
    task = @client.wait(task_uuid)

    expect(task).to include('state' => 'complete', 'context' => { 'ü' => 1 })
    expect(task['steps'].first['result']).to eq('said' => 'hello')
  end

  it 'is answered the first task where the key is known' do
    first, second = Array.new(2) { @client.submit('conformance', 'client', idempotency_key: 'once') }

    expect(second).to eq(first)
  end

  it 'ends a wait with its timeout' do
    waiting = @client.submit('conformance', 'waiting')

    expect { @client.wait(waiting, timeout: 0.1) }.to raise_error(TaskerCore::WaitTimeout, /still/)
  end

  it 'says that there is no such task, and no such template' do
    unknown = '00000000-0000-7000-8000-000000000000'
    expect { @client.get(unknown) }.to raise_error(TaskerCore::NotFound)
    expect { @client.submit('conformance', 'no_such') }.to raise_error(PG::Error) { |error|
      expect(error.result.error_field(PG::PG_DIAG_SQLSTATE)).to eq('TK404')
    }
  end

  it 'submits in the transaction of a connection of its caller' do
    task_uuid = nil
    connection = PG.connect(URL)
    connection.transaction do
      task_uuid = TaskerCore.submit(connection, 'conformance', 'client')
      expect { @client.get(task_uuid) }.to raise_error(TaskerCore::NotFound)
    end
    expect(@client.wait(task_uuid)['state']).to eq('complete')
  ensure
    connection.close
  end

  describe 'with Active Record' do
    before(:context) do
      require 'active_record'
      connection = PG.connect(URL)
      place = connection.conninfo_hash.slice(:host, :port, :dbname, :user, :password).compact
      connection.close
      ActiveRecord::Base.establish_connection(
        adapter: 'postgresql', database: place[:dbname], username: place[:user], **place.slice(:host, :port, :password)
      )
      ActiveRecord::Base.connection.execute('create table if not exists orders (id bigserial primary key, number int)')
      Order = Class.new(ActiveRecord::Base) { self.table_name = 'orders' } unless defined?(Order)
    end

    after(:context) { ActiveRecord::Base.connection.disconnect! }

    let(:connection) { ActiveRecord::Base.connection }

    it 'has order and task together, or neither' do
      kept, lost = nil
      ActiveRecord::Base.transaction do
        order = Order.create!(number: 1)
        kept = TaskerCore.submit(connection, 'conformance', 'client', { order: order.id })
        expect { @client.get(kept) }.to raise_error(TaskerCore::NotFound)
      end
      ActiveRecord::Base.transaction do
        order = Order.create!(number: 2)
        lost = TaskerCore.submit(connection, 'conformance', 'client', { order: order.id })
        raise ActiveRecord::Rollback
      end

      expect(@client.wait(kept)['context']).to eq('order' => Order.find_by!(number: 1).id)
      expect(Order.exists?(number: 2)).to be(false)
      expect { @client.get(lost) }.to raise_error(TaskerCore::NotFound)
    end

    it 'submits as often as it is asked to, whatever the query cache holds' do
      connection.cache do
        tasks = Array.new(3) { TaskerCore.submit(connection, 'conformance', 'client', { "it's" => "\\ \"q\" $1" }) }

        expect(tasks.uniq.size).to eq(3)
        expect(@client.wait(tasks.last)['context']).to eq("it's" => "\\ \"q\" $1")
      end
    end
  end
end
