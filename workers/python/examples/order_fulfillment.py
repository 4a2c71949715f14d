"""The handlers of examples/order_fulfillment/order_with_own_handlers.yaml.

    tasker template apply examples/order_fulfillment/order_with_own_handlers.yaml
    cd workers/python/examples && python -m tasker_worker --require order_fulfillment
"""

import asyncio
import time
from typing import Any

from tasker_worker import PermanentError, RetryError, Step, handler

PRICES = {"book": 24.95, "pen": 3.5}


@handler("orders.validate")
def validate(step: Step) -> dict[str, Any]:
    items = step.context.get("items") or [{"sku": "book"}]
    unknown = [item["sku"] for item in items if item["sku"] not in PRICES]
    if unknown:
        # No further attempt would know them: the step fails permanently, and the task with it.
        raise PermanentError(f"unknown: {', '.join(unknown)}", kind="unknown_sku")
    return {"items": items}


@handler("stock.reserve")
def reserve(step: Step) -> dict[str, str]:
    """A plain function runs in a thread: it may block, as most client libraries do."""
    time.sleep(0.05)
    return {"shelf": f"shelf {step.context['order_id']}"}


@handler("payments.check_fraud")
async def check_fraud(step: Step) -> dict[str, int]:
    await asyncio.sleep(0.02)
    return {"risk": 1}


@handler("orders.price")
async def price(step: Step) -> dict[str, Any]:
    items = step.dependency("validate")["items"]
    total = sum(PRICES[item["sku"]] * item.get("quantity", 1) for item in items)
    return {"total": round(total, 2), "currency": step.input["currency"]}


@handler("payments.charge")
async def charge(step: Step) -> dict[str, Any]:
    price = step.dependency("price")
    if step.attempt == 1:
        # The payment provider has a bad moment, and says when to come back.
        raise RetryError("the payment provider is busy", after=0.2, kind="provider_busy")
    # The same in every attempt, so that the provider charges once.
    return {"charged": price["total"], "reference": str(step.step_uuid)}


@handler("shipping.create")
def ship(step: Step) -> dict[str, str]:
    return {"parcel": f"from {step.dependency('reserve_stock')['shelf']}"}


@handler("mail.send_receipt")
async def send_receipt(step: Step) -> None:
    pass


@handler("orders.confirm")
async def confirm(step: Step) -> dict[str, str]:
    return {"message": "Your order is on its way", "parcel": step.dependency("ship")["parcel"]}
