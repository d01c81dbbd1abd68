"""The workloads of this repository: what its simulator is run on."""

__all__ = ["WORKLOADS"]

WORKLOADS = {
    "orders": "tests.simulation.workloads.orders:orders_workload",
    "generated": "tests.simulation.workloads.generated:generated_workload",
    "rolling": "tests.simulation.workloads.rolling:rolling_workload",
    "customers-and-orders": "tests.simulation.sagas_of_others.customers_and_orders:customers_and_orders",
    "ftgo": "tests.simulation.sagas_of_others.ftgo:ftgo",
    "eshop": "tests.simulation.sagas_of_others.eshop:eshop",
    "order-check": "tests.simulation.sagas_of_others.order_check:order_check",
}
"""By name: where the function is that makes the setting of a seed."""
