import pytest

from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.kinds import Kind

DETECTOR = Detector()


def addresses(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text) if span.kind is Kind.ADDRESS]


@pytest.mark.parametrize(
    "address",
    [
        "г. Казань, ул. Большая Ордынка, д. 8, корп. 3, кв. 38",
        "582209, г. Нижний Новгород, ул. академика Королёва, д. 30, кв. 17",
        "Московская обл., г. Химки, Ленинградский проспект, д. 17, корп. 4, кв. 290",
        "г. Казань, ш. Энтузиастов, 109-284",
        "ул. 8 Марта, д. 39, оф. 276",
        "Кутузовский пр-кт, д. 87, оф. 77",
        "г. Москва, наб. реки Фонтанки, дом 7, стр. 2",
        "улица Склизкова 48к1, квартира 7",
        "Санкт-Петербург, пл. Труда, д. 2",
        "с. Верхнее, ул. Садовая, д. 1",
        "Ленина 45 кв 12",
        "221B Baker Street, London NW1 6XE",
        "1600 Pennsylvania Ave NW, Washington, DC 20500",
        "Hauptstraße 5, 10115 Berlin",
    ],
)
def test_an_address_is_found_as_a_whole(address: str) -> None:
    assert addresses(f"Доставка: {address}.")[0].startswith(address)


@pytest.mark.parametrize(
    "text",
    [
        "Улица Ленина перекрыта, объезд по проспекту Мира.",
        "Дом, милый дом. Квартира в ипотеку. Корпус корабля.",
        "Проспект компании на 45 страниц, линия 3 стоит.",
        "Шоссе М-11 открыто, СНТ голосует 5 мая.",
        "На площади 1200 квадратных метров; квартал 4 закрыт.",
        "Кабель 3х2,5 — 450 м, автомат 16А — 12 шт.",
    ],
)
def test_what_is_no_address_is_left(text: str) -> None:
    assert addresses(text) == []
