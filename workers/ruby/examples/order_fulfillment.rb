# frozen_string_literal: true

# The handlers of examples/order_fulfillment/order_with_own_handlers.yaml.
#
#     tasker template apply examples/order_fulfillment/order_with_own_handlers.yaml
#     tasker-worker --require ./workers/ruby/examples/order_fulfillment

require 'tasker_core'

# What is sold, and for how much.
PRICES = { 'book' => 24.95, 'pen' => 3.5 }.freeze

class ValidateOrder < TaskerCore::Handler
  def call(step)
    items = step.context['items'] || [{ 'sku' => 'book' }]
    unknown = items.map { |item| item['sku'] } - PRICES.keys
    # No further attempt would know them: the step fails permanently, and the task with it.
    raise TaskerCore::PermanentError.new("unknown: #{unknown.join(', ')}", kind: 'unknown_sku') if unknown.any?

    { items: items }
  end
end

class ReserveStock < TaskerCore::Handler
  # Each handler has a thread of its own: it may block, as most client libraries do.
  def call(step)
    sleep 0.05
    { shelf: "shelf #{step.context['order_id']}" }
  end
end

class PriceOrder < TaskerCore::Handler
  def call(step)
    items = step.dependency('validate')['items']
    total = items.sum { |item| PRICES.fetch(item['sku']) * item.fetch('quantity', 1) }
    { total: total.round(2), currency: step.input['currency'] }
  end
end

class ChargeCard < TaskerCore::Handler
  def call(step)
    price = step.dependency('price')
    if step.attempt == 1
      # The payment provider has a bad moment, and says when to come back.
      raise TaskerCore::RetryableError.new('the payment provider is busy', retry_after: 0.2, kind: 'provider_busy')
    end

    # The same in every attempt, so that the provider charges once.
    { charged: price['total'], reference: step.step_uuid }
  end
end

class ShipParcel < TaskerCore::Handler
  def call(step)
    { parcel: "from #{step.dependency('reserve_stock')['shelf']}" }
  end
end

class ConfirmOrder < TaskerCore::Handler
  def call(step)
    { message: 'Your order is on its way', parcel: step.dependency('ship')['parcel'] }
  end
end

TaskerCore.register('orders.validate', ValidateOrder)
TaskerCore.register('stock.reserve', ReserveStock)
TaskerCore.register('payments.check_fraud', ->(_step) { { risk: 1 } }) # What has `call` will do.
TaskerCore.register('orders.price', PriceOrder)
TaskerCore.register('payments.charge', ChargeCard)
TaskerCore.register('shipping.create', ShipParcel)
TaskerCore.register('mail.send_receipt', ->(_step) {})
TaskerCore.register('orders.confirm', ConfirmOrder)
