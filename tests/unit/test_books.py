"""The check of the books: silent when they balance, and each planted defect is found by name."""

from collections.abc import Callable

import pytest

from services.books import Books, findings


def balanced() -> Books:
    """One order received, one assumed to be, one declined after its stock was set aside, one short."""
    return Books(
        orders={
            "sold": ("RECEIVED", 300),
            "silent": ("ASSUMED", 50),
            "declined": ("CANCELLED", 100),
            "short": ("CANCELLED", 900),
            "voided": ("CANCELLED", 200),
        },
        endings={
            "sold": "COMPLETED",
            "silent": "COMPLETED",
            "declined": "COMPENSATED",
            "short": "COMPENSATED",
            "voided": "COMPENSATED",
        },
        stock={"tea": (10, 7, 3), "cup": (5, 5, 0), "pot": (2, 1, 1)},
        movements=[
            ("sold", "tea", 3),
            ("silent", "pot", 1),
            ("declined", "tea", 1),
            ("declined", "tea", -1),
            ("voided", "cup", 2),
            ("voided", "cup", -2),
        ],
        ledger=[
            ("sold", "AUTHORIZED", 300),
            ("sold", "CAPTURED", 300),
            ("silent", "AUTHORIZED", 50),
            ("silent", "CAPTURED", 50),
            ("voided", "AUTHORIZED", 200),
            ("voided", "VOIDED", 200),
        ],
        parcels=["sold", "silent"],
        messages=[
            ("sold", "SHIPPED"),
            ("silent", "SHIPPED"),
            ("declined", "DECLINED"),
            ("short", "UNAVAILABLE"),
        ],
    )


def test_balanced_books_have_no_findings() -> None:
    assert findings(balanced()) == []


def test_empty_books_balance() -> None:
    assert findings(Books()) == []


def an_order_is_lost(books: Books) -> None:
    del books.endings["sold"]


def an_unknown_saga_ended(books: Books) -> None:
    books.endings["ghost"] = "COMPENSATED"


def a_saga_failed(books: Books) -> None:
    books.endings["declined"] = "FAILED"


def an_order_stays_placed(books: Books) -> None:
    books.orders["declined"] = ("PLACED", 100)


def a_fulfilled_order_is_cancelled(books: Books) -> None:
    books.orders["sold"] = ("CANCELLED", 300)


def nobody_hears_of_the_receipt(books: Books) -> None:
    books.orders["silent"] = ("PLACED", 50)


def a_cancelled_order_is_received(books: Books) -> None:
    books.orders["voided"] = ("RECEIVED", 200)


def stock_is_lost(books: Books) -> None:
    books.stock["tea"] = (10, 6, 3)


def stock_is_reserved_unseen(books: Books) -> None:
    books.stock["cup"] = (5, 4, 1)


def stock_is_oversold(books: Books) -> None:
    books.stock["tea"] = (2, -1, 3)


def a_release_is_missing(books: Books) -> None:
    books.movements.remove(("declined", "tea", -1))
    books.stock["tea"] = (10, 6, 4)


def a_release_happened_twice(books: Books) -> None:
    books.movements.append(("declined", "tea", -1))
    books.stock["tea"] = (10, 8, 2)


def a_reservation_happened_twice(books: Books) -> None:
    books.movements.append(("sold", "tea", 3))
    books.stock["tea"] = (10, 4, 6)


def an_unknown_article_moved(books: Books) -> None:
    books.movements.append(("sold", "gold", 1))


def a_capture_happened_twice(books: Books) -> None:
    books.ledger.append(("sold", "CAPTURED", 300))


def a_capture_is_missing(books: Books) -> None:
    books.ledger.remove(("sold", "CAPTURED", 300))


def a_capture_is_too_small(books: Books) -> None:
    books.ledger[books.ledger.index(("sold", "CAPTURED", 300))] = ("sold", "CAPTURED", 299)


def a_void_is_missing(books: Books) -> None:
    books.ledger.remove(("voided", "VOIDED", 200))


def a_cancelled_order_is_charged(books: Books) -> None:
    books.ledger[books.ledger.index(("voided", "VOIDED", 200))] = ("voided", "CAPTURED", 200)


def a_void_happened_twice(books: Books) -> None:
    books.ledger.append(("voided", "VOIDED", 200))


def a_parcel_went_twice(books: Books) -> None:
    books.parcels.append("sold")


def a_parcel_is_missing(books: Books) -> None:
    books.parcels.remove("sold")


def a_cancelled_order_is_shipped(books: Books) -> None:
    books.parcels.append("voided")


def a_customer_is_told_twice(books: Books) -> None:
    books.messages.append(("declined", "DECLINED"))


def a_customer_is_not_told(books: Books) -> None:
    books.messages.remove(("sold", "SHIPPED"))


def a_customer_waits_in_vain(books: Books) -> None:
    books.messages.append(("voided", "SHIPPED"))


def an_effect_has_no_order(books: Books) -> None:
    books.parcels.append("ghost")


@pytest.mark.parametrize(
    ("defect", "finding"),
    [
        (an_order_is_lost, "The order sold was placed, but its saga has not ended."),
        (an_unknown_saga_ended, "The saga of ghost has ended, but no such order was placed."),
        (a_saga_failed, "The saga of declined ended FAILED."),
        (an_order_stays_placed, "declined is PLACED, but its saga ended COMPENSATED."),
        (a_fulfilled_order_is_cancelled, "sold is CANCELLED, but its saga ended COMPLETED."),
        (nobody_hears_of_the_receipt, "silent is PLACED, but its saga ended COMPLETED."),
        (a_cancelled_order_is_received, "voided is RECEIVED, but its saga ended COMPENSATED."),
        (stock_is_lost, "tea is not conserved: 10 pieces were received, 6 are available and 3"),
        (stock_is_reserved_unseen, "Of cup 1 pieces are reserved; by the movements it is 0."),
        (stock_is_oversold, "The stock of tea is negative: -1 available, 3 reserved."),
        (a_release_is_missing, "declined was cancelled, but 1 pieces are still set aside."),
        (a_release_happened_twice, "For declined (tea) there are 2 times a release."),
        (a_reservation_happened_twice, "For sold (tea) there are 2 times a reservation."),
        (an_unknown_article_moved, "The stock of gold was moved, but there is no such article."),
        (a_capture_happened_twice, "For sold 300 cents more were taken or set free"),
        (a_capture_is_missing, "The order sold is fulfilled without a capture."),
        (a_capture_is_too_small, "Captured are 349 cents; the fulfilled orders come to 350."),
        (a_void_is_missing, "The saga of voided has ended, but 200 cents are still blocked."),
        (a_cancelled_order_is_charged, "voided was cancelled, but 200 cents were taken."),
        (a_void_happened_twice, "For voided (VOIDED) there are 2 times a ledger entry."),
        (a_parcel_went_twice, "For sold there are 2 times a parcel."),
        (a_parcel_is_missing, "The order sold is fulfilled without a parcel."),
        (a_cancelled_order_is_shipped, "The order voided was cancelled, but a parcel was sent."),
        (a_customer_is_told_twice, "For declined (DECLINED) there are 2 times a message."),
        (a_customer_is_not_told, "The order sold is fulfilled without a message."),
        (a_customer_waits_in_vain, "voided was cancelled, but the customer waits for a parcel."),
        (an_effect_has_no_order, "There is a parcel for ghost, but no such order."),
    ],
)
def test_defects_are_found(defect: Callable[[Books], None], finding: str) -> None:
    books = balanced()
    defect(books)
    assert finding in "\n".join(findings(books))


def test_many_findings_of_a_kind_are_counted() -> None:
    books = Books(orders={f"order-{number}": ("PLACED", 0) for number in range(50)})
    found = findings(books)
    assert len(found) == 21
    assert found[-1] == "… and 30 more of this kind."
