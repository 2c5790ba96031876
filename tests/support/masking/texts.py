"""Texts with made-up people and numbers, of other templates than the corpus: the guard against rules made to measure.

`items(seed)` makes them afresh. A template has its values between ⟦kind| and ⟧.
"""

import random
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple


class Item(NamedTuple):
    """A text, the kind of text it is, and the spans in it."""

    stratum: str
    text: str
    spans: list[tuple[int, int, str]]


MEN: Final = (
    ("Афанасьев", "Глеб", "Маратович"), ("Рыбаков", "Савелий", "Тимофеевич"), ("Осипенко", "Виталий", "Богданович"), ("Кондрашин", "Захар", "Романович"), ("Яковлев", "Ратмир", "Эдуардович"),
    ("Погосян", "Арсен", "Гагикович"), ("Лисицкий", "Феликс", "Наумович"), ("Громыко", "Степан", "Никитич"), ("Шапошников", "Всеволод", "Ильич"), ("Дадаев", "Умар", "Ахмедович"),
    ("Зуев", "Родион", "Валерьевич"), ("Тхор", "Макар", "Денисович"), ("Бойчук", "Остап", "Григорьевич"), ("Мальцев", "Семён", "Яковлевич"), ("Пестов", "Леонид", "Фёдорович"),
)  # fmt: skip
WOMEN: Final = (
    ("Афанасьева", "Милана", "Маратовна"), ("Рыбакова", "Таисия", "Тимофеевна"), ("Осипенко", "Валентина", "Богдановна"), ("Кондрашина", "Злата", "Романовна"), ("Яковлева", "Диана", "Эдуардовна"),
    ("Погосян", "Ануш", "Гагиковна"), ("Лисицкая", "Раиса", "Наумовна"), ("Громыко", "Алевтина", "Никитична"), ("Шапошникова", "Маргарита", "Ильинична"), ("Дадаева", "Патимат", "Ахмедовна"),
    ("Зуева", "Евдокия", "Валерьевна"), ("Тхор", "Инесса", "Денисовна"), ("Мальцева", "Жанна", "Яковлевна"), ("Пестова", "Лилия", "Фёдоровна"), ("Ушакова", "Василиса", "Антоновна"),
)  # fmt: skip


class Maker:
    """Makes values. Everything comes from one seeded source."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def digits(self, count: int) -> str:
        return "".join(self._random.choice("0123456789") for _ in range(count))

    def pick(self, options: tuple[str, ...]) -> str:
        return self._random.choice(options)

    def man(self) -> tuple[str, str, str]:
        return self._random.choice(MEN)

    def woman(self) -> tuple[str, str, str]:
        return self._random.choice(WOMEN)

    def fio(self) -> str:
        return " ".join(self._random.choice(MEN + WOMEN))

    def initials_after(self) -> str:
        surname, name, patronymic = self._random.choice(MEN + WOMEN)
        return self.pick((f"{surname} {name[0]}.{patronymic[0]}.", f"{surname} {name[0]}. {patronymic[0]}."))

    def initials_before(self) -> str:
        surname, name, patronymic = self._random.choice(MEN + WOMEN)
        return self.pick((f"{name[0]}.{patronymic[0]}. {surname}", f"{name[0]}. {patronymic[0]}. {surname}"))

    def name_patronymic(self) -> str:
        _, name, patronymic = self._random.choice(MEN + WOMEN)
        return f"{name} {patronymic}"

    def name_surname(self) -> str:
        surname, name, _ = self._random.choice(MEN + WOMEN)
        return f"{name} {surname}"

    def given(self) -> str:
        return self._random.choice(MEN + WOMEN)[1]

    def dative(self) -> str:
        """«Осипенко Виталию Богдановичу»."""
        surname, name, patronymic = self.man()
        surname = (
            surname + "у"
            if surname.endswith(("ов", "ев", "ин", "ян", "р", "ук"))
            else surname[:-2] + "ому"
            if surname.endswith("ий")
            else surname
        )
        name = name[:-1] + "ю" if name.endswith("й") else name + "у"
        return f"{surname} {name} {patronymic}у"

    def genitive_woman(self) -> str:
        """«Рыбаковой Таисии Тимофеевны»."""
        surname, name, patronymic = self.woman()
        surname = (
            surname[:-2] + "ой" if surname.endswith("ая") else surname[:-1] + "ой" if surname.endswith("а") else surname
        )
        name = name[:-1] + ("и" if name.endswith(("я", "ка", "га")) else "ы") if name.endswith(("а", "я")) else name
        return f"{surname} {name} {patronymic[:-1]}ы"

    def instrumental_surname(self) -> str:
        return self.pick(("Афанасьевым", "Рыбаковым", "Шапошниковым", "Зуевой", "Мальцевой", "Кондрашиным", "Лисицким"))

    def latin(self) -> str:
        return self.pick(
            (
                "Gleb Afanasyev",
                "Taisiya Rybakova",
                "Vitaliy Osipenko",
                "Semyon Maltsev",
                "Zhanna Maltseva",
                "Felix Lisitsky",
                "Margarita Shaposhnikova",
                "Rodion Zuev",
                "Alevtina Gromyko",
                "Leonid Pestov",
            )
        )

    def foreign(self) -> str:
        return self.pick(
            (
                "Laura Bennett",
                "Hans Becker",
                "Patrick O'Brien",
                "Claire Dubois",
                "Marco Bianchi",
                "Steven Clark",
                "Julia Hoffmann",
                "Daniel Reyes",
            )
        )

    def phone(self) -> str:
        area = self.pick(("916", "925", "903", "987", "495", "812", "843", "383"))
        rest = self.digits(7)
        a, b, c = rest[:3], rest[3:5], rest[5:]
        return self.pick(
            (
                f"+7 ({area}) {a}-{b}-{c}",
                f"8 ({area}) {a} {b} {c}",
                f"+7{area}{rest}",
                f"8{area}{rest}",
                f"+7-{area}-{a}-{b}-{c}",
                f"8-{area}-{a}-{b}{c}",
                f"+7.{area}.{a}.{b}.{c}",
                f"7 {area} {a} {b} {c}",
            )
        )

    def email(self) -> str:
        return (
            self.pick(("snab", "l.pestov", "r_zuev", "office-77", "hr.dept", "taisia1990"))
            + "@"
            + self.pick(("inbox.ru", "list.ru", "metall-trade.ru", "sklad24.com", "rambler.ru", "агро.рф"))
        )

    def card(self) -> str:
        body = self.pick(("2202", "4276", "5536", "2204", "4081")) + self.digits(11)
        total = sum(sum(divmod(int(d) * 2, 10)) if index % 2 == 0 else int(d) for index, d in enumerate(body))
        full = body + str(-total % 10)
        return self.pick(
            (
                full,
                " ".join(full[at : at + 4] for at in range(0, 16, 4)),
                "-".join(full[at : at + 4] for at in range(0, 16, 4)),
            )
        )

    def account(self) -> str:
        return self.pick(("40702810", "40817810", "40802810", "40703810", "40702840")) + self.digits(12)

    def inn12(self) -> str:
        body = self.pick(("7714", "5402", "1655", "7802")) + self.digits(6)
        for weights in ((7, 2, 4, 10, 3, 5, 9, 4, 6, 8), (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)):
            body += str(sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11 % 10)
        return body

    def inn10(self) -> str:
        body = self.pick(("7714", "5402", "1655", "7802")) + self.digits(5)
        return body + str(sum(int(d) * w for d, w in zip(body, (2, 4, 10, 3, 5, 9, 4, 6, 8), strict=True)) % 11 % 10)

    def snils(self) -> str:
        body = self.pick(("112", "145", "087", "163")) + self.digits(6)
        check = sum(int(d) * w for d, w in zip(body, range(9, 0, -1), strict=True)) % 101 % 100
        return f"{body[:3]}-{body[3:6]}-{body[6:]}{self.pick((' ', '-'))}{check:02}"

    def ogrn(self) -> str:
        body = "10" + self.digits(10)
        return body + str(int(body) % 11 % 10)

    def passport(self) -> str:
        return self.pick(("45 12 ", "4512 ", "45 12 № ", "4512№")) + self.digits(6)

    def plate(self) -> str:
        letters = "АВЕКМНОРСТУХ"
        a, b, c = (self._random.choice(letters) for _ in range(3))
        return self.pick(
            (
                f"{a}{self.digits(3)}{b}{c}{self.pick(('77', '150', '198', '716'))}",
                f"{a} {self.digits(3)} {b}{c} {self.pick(('77', '150'))}",
            )
        )

    def date(self) -> str:
        day, month, year = self._random.randint(1, 28), self._random.randint(1, 12), self._random.randint(1955, 2004)
        return self.pick(
            (
                f"{day:02}.{month:02}.{year}",
                f"{day:02}/{month:02}/{year}",
                f"{year}-{month:02}-{day:02}",
                f"{day} {self.pick(('января', 'марта', 'июня', 'сентября'))} {year} г.",
            )
        )

    def ip(self) -> str:
        return f"{self._random.randint(20, 220)}.{self._random.randint(0, 255)}.{self._random.randint(0, 255)}.{self._random.randint(1, 254)}"

    def word(self, length: int) -> str:
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
        return "aB3" + "".join(self._random.choice(letters) for _ in range(length - 3))

    def address(self) -> str:
        street = self.pick(
            (
                "ул. Гагарина",
                "ул. Красных Партизан",
                "пр-т Победы",
                "переулок Тихий",
                "Советская улица",
                "бульвар Гагарина",
                "ул. им. Чапаева",
                "Московское шоссе",
                "ул. 9 Января",
                "пл. Труда",
                "мкр. Солнечный",
            )
        )
        house = self.pick((", д. 7", ", дом 12А", " 15", ", д. 3/1", ", 44")) + self.pick(
            ("", ", кв. 19", ", корп. 2, кв. 5", ", офис 301", " кв 8")
        )
        before = self.pick(
            (
                "",
                "г. Рязань, ",
                "443001, г. Самара, ",
                "Ростовская область, г. Шахты, ",
                "Санкт-Петербург, ",
                "Республика Башкортостан, г. Уфа, ",
            )
        )
        return before + street + house

    def iban(self) -> str:
        country, length = self._random.choice((("DE", 18), ("LV", 17), ("PL", 24), ("AE", 19)))
        body = ("HABA" if country == "LV" else "") + self.digits(length - (4 if country == "LV" else 0))
        number = int("".join(str(int(char, 36)) for char in body + country + "00"))
        full = f"{country}{98 - number % 97:02}{body}"
        return self.pick((full, " ".join(full[at : at + 4] for at in range(0, len(full), 4))))


_SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    ("letter", "Добрый день, ⟦person|{name_patronymic}⟧! Высылаю счёт повторно, бухгалтерия ждёт оплату до пятницы."),
    ("letter", "Доверенность выдана ⟦person|{dative}⟧, паспорт ⟦passport|{passport}⟧, зарегистрированному по адресу ⟦address|{address}⟧."),
    ("letter", "Прошу предоставить отпуск с 3 июня. Начальник смены ⟦person|{initials_before}⟧"),
    ("letter", "Ваш новый куратор — ⟦person|{fio}⟧, связь по номеру ⟦phone|{phone}⟧ или ⟦email|{email}⟧."),
    ("letter", "В отношении ⟦person|{genitive_woman}⟧ проведена проверка, СНИЛС ⟦snils|{snils}⟧, ИНН ⟦inn|{inn12}⟧."),
    ("letter", "Г-н ⟦person_part|{surname}⟧ просил выслать каталог на ⟦email|{email}⟧."),
    ("letter", "Спасибо за встречу! С уважением,\n⟦person|{name_surname}⟧\nруководитель проектов\n⟦phone|{phone}⟧"),
    ("letter", "Приглашаем ⟦person|{initials_after}⟧ на совещание 14.02.2025 в переговорной 5."),
    ("letter", "Справка выдана гражданке ⟦person|{genitive_woman}⟧, ⟦birth_date|{date}⟧ года рождения, для предъявления по месту требования." ),
    ("letter", "Оплату за обучение переведите на счёт ⟦bank_account|{account}⟧, БИК ⟦bik|{bik}⟧."),
    ("letter", "Адрес для корреспонденции: ⟦address|{address}⟧"),
    ("letter", "Ответственный за пожарную безопасность: ⟦person|{fio}⟧ (приказ № 12 от 11.01.2024)."),
    ("contract", "Арендодатель ⟦person|{fio}⟧, дата рождения: ⟦birth_date|{date}⟧, место жительства: ⟦address|{address}⟧"),
    ("contract", "⟦company|ООО «Гранит-Юг»⟧, ИНН ⟦inn|{inn10}⟧, ОГРН ⟦ogrn|{ogrn}⟧, КПП ⟦kpp|{kpp}⟧"),
    ("contract", "в лице генерального директора ⟦person|{genitive_woman}⟧, действующей на основании устава"),
    ("contract", "Автомобиль Lada Vesta, государственный номер ⟦plate|{plate}⟧, передан ⟦person|{dative}⟧."),
    ("contract", "р/с ⟦bank_account|{account}⟧ в ⟦company|АО «Альфа-Банк»⟧, к/с ⟦bank_account|30101810200000000593⟧" ),
    ("contract", "Полис ОМС ⟦oms|{oms}⟧ оформлен на ⟦person|{fio}⟧"),
    ("contract", "Водительское удостоверение ⟦driver_licence|{licence}⟧ категории B"),
    ("chat", "звонила ⟦person|{name_patronymic}⟧, сказала что договор готов"),
    ("chat", "запиши номер ⟦phone|{phone}⟧ это курьер"),
    ("chat", "скинь ⟦person_part|{given_dative}⟧ ссылку на макет"),
    ("chat", "моя карта ⟦card|{card}⟧ если что"),
    ("chat", "Передай ⟦person_part|{surname_dative}⟧, что отгрузка в среду"),
    ("chat", "обсуди это с ⟦person_part|{instrumental_surname}⟧ до обеда"),
    ("chat", "пароль: ⟦secret|{password}⟧ никому не показывай"),
    ("chat", "телега для связи ⟦telegram|@sergey_logist⟧"),
    ("chat", "машина ⟦plate|{plate}⟧ заедет в 9 утра"),
    ("chat", "⟦person_part|{given}⟧, привет! когда будет отчёт?"),
    ("chat", "инн ⟦inn|{inn12}⟧, снилс ⟦snils|{snils}⟧, что ещё нужно для договора?"),
    ("chat", "Подскажи, как склонять фамилию ⟦person|{initials_after}⟧ в дательном падеже"),
    ("english", "Please forward this to ⟦person|{latin}⟧ before Friday."),
    ("english", "Dear ⟦person|{foreign}⟧, thank you for your order."),
    ("english", "The invoice was signed by ⟦person|{latin}⟧ and sent to ⟦email|{email}⟧."),
    ("english", "My name is ⟦person|{foreign}⟧, you can reach me at ⟦phone|+1 415 555 0132⟧."),
    ("english", "Employee ⟦person|{latin}⟧, date of birth ⟦birth_date|{date}⟧, passport ⟦passport|{passport10}⟧."),
    ("english", "Our office moved to ⟦address|48 Maple Avenue, Springfield⟧ last week."),
    ("english", "Wire it to ⟦iban|{iban}⟧ by Monday."),
    ("english", "Hi ⟦person_part|Laura⟧, could you check the report?"),
    ("code", 'client = Client(api_key="⟦secret|{openai}⟧")'),
    ("code", "MYSQL_PASSWORD=⟦secret|{password}⟧\nMYSQL_USER=shop"),
    ("code", "Failed login from ⟦ip|{ip}⟧ port 50222"),
    ("code", 'headers = {{"Authorization": "Bearer ⟦secret|{token}⟧"}}'),
    ("code", '{{"name": "⟦person|{name_surname}⟧", "email": "⟦email|{email}⟧", "phone": "⟦phone|{phone}⟧"}}'),
    ("code", "redis://default:⟦secret|{password}⟧@cache.internal:6379/0"),
    ("code", "git remote add origin https://⟦secret|{github}⟧@github.com/acme/shop.git"),
    ("code", "SELECT * FROM users WHERE email = '⟦email|{email}⟧' AND inn = '⟦inn|{inn12}⟧'"),
    ("table", "Имя | Телефон | Город\n⟦person|{name_surname}⟧ | ⟦phone|{phone}⟧ | Омск\n⟦person|{name_surname}⟧ | ⟦phone|{phone}⟧ | Тверь"),
    ("table", "ФИО,Дата рождения,Паспорт\n⟦person|{fio}⟧,⟦birth_date|{date_plain}⟧,⟦passport|{passport10}⟧"),
    ("table", "Табель:\n1) ⟦person|{initials_after}⟧ — 160 ч\n2) ⟦person|{initials_after}⟧ — 152 ч"),
    ("table", "БИК;Счёт;Получатель\n⟦bik|{bik}⟧;⟦bank_account|{account}⟧;⟦person|{fio}⟧"),
    ("mixed", "Тикет CRM-482: клиент ⟦person|{name_surname}⟧ не может войти, IP ⟦ip|{ip}⟧"),
    ("mixed", "Переведи на английский: «Меня зовут ⟦person|{name_surname}⟧, я живу по адресу ⟦address|{address}⟧»"),
    ("mixed", "Отправь оффер на ⟦email|{email}⟧, кандидат ⟦person|{latin}⟧"),
)  # fmt: skip

_NEGATIVES: Final = (
    "Подготовь план продаж на третий квартал, разбей по месяцам.", "Накладная № 88123456789 от 03.04.2025, 14 мест.", "В Ростове открыли новый склад, в Пскове пока нет.", "Спектакль «Дядя Ваня» перенесён на 19:00.",
    "Таблица Менделеева висит в лаборатории.", "Версия прошивки 12.45.10.3 исправляет ошибку.", "Сумма 8 950 123 456 руб. прошла по счёту.", "Рост 12,5 % против 11,8 % годом ранее.", "Улица Пушкина и проспект Гагарина закрыты для ремонта.",
    "Артикулы: 4601234567893, 4609876543211, 4605555555554.", "Вера в успех и надежда на команду — вот что помогло.", "Кафе «Марина» работает до 23:00.", "Правило Парето: 20 % усилий дают 80 % результата.", "Запусти docker run -p 8080:80 nginx:1.25.3.",
    "Номер счёта-фактуры 20250314 и номер акта 77.", "Роман читается легко, сюжет держит.", "Заказ 770312345678 доставлен, спасибо!", "Что лучше: Java 21 или Kotlin 2.0?", "Минский завод и Брянский клиент согласовали график.",
    "Пароль не подходит, как его сбросить?", "Паспорт безопасности объекта согласован 12.05.2024.", "Срок службы 10 лет, гарантия 24 месяца, ТУ 3414-001-12345678-2019.", "На карте отмечены три склада и два офиса.", "Толщина листа 0,7 мм, цвет RAL 9003.",
    "Хеш коммита a3f5c9e1b7d2468013579bdf02468ace13579bdf.", "Summarise the quarterly report in five bullets.", "The London office opens on Monday at 9 am.", "Use HTTP 503 with Retry-After: 120.", "Владимир и Суздаль входят в Золотое кольцо.",
    "Станок ЧПУ, инв. № 000012345, цех 4.", "Праздник 9 Мая — выходной, 8 Марта тоже.", "Поезд 016А Москва — Мурманск отправится в 00:43.", "Закон Ньютона и число Авогадро проходят в школе.", "Лада Гранта стоит дешевле, чем Лада Веста.",
    "Определи тональность отзыва: «Доставка быстрая, но упаковка мятая».", "Мощность 110 кВт, 3000 об/мин, КПД 94,5 %.", "Координаты 59.9386, 30.3141, высота 12 м.", "ООО — это форма собственности, а не название.",
    "Перечисли обязательные реквизиты: ИНН, КПП, ОГРН, БИК и расчётный счёт.", "Температура -15, ветер 7 м/с, давление 750.", "Всё готово к запуску, Максимальная нагрузка 4500 запросов.", "Марка бетона М300, класс В22,5.", "UUID 123e4567-e89b-12d3-a456-426614174000 уже занят.",
    "Премия «Лев» вручена в Каннах.", "Отдел кадров принимает с 9 до 18, обед с 13 до 14.", "Дата рождения бренда — 12 июня 1998 года.", "@Transactional и @Override — аннотации Java.", "Контракт 1-2-3/45 подписан, лот 7 снят.", "Мороз и солнце; день чудесный.",
    "Проверь орфографию: «Вышлите пожалуста прайс».",
)  # fmt: skip


def _fields(maker: Maker) -> dict[str, Callable[[], str]]:
    surnames = ("Мюллер", "Афанасьев", "Тхор", "Погосян", "Лисицкий")
    return {
        "bik": lambda: "04" + maker.digits(7),
        "kpp": lambda: maker.pick(("771401001", "540201001", "165501001")),
        "oms": lambda: maker.digits(16).replace("0", "3", 1),
        "licence": lambda: f"{maker.digits(2)} {maker.digits(2)} {maker.digits(6)}",
        "surname": lambda: maker.pick(surnames),
        "surname_dative": lambda: maker.pick(
            ("Афанасьеву", "Рыбаковой", "Кондрашину", "Шапошниковой", "Осипову", "Зуевой")
        ),
        "given_dative": lambda: maker.pick(("Глебу", "Таисии", "Виталию", "Диане", "Маргарите", "Степану", "Жанне")),
        "password": lambda: (
            maker.pick(("Kedr", "Volna", "Sosna")) + maker.digits(3) + maker.pick(("!", "@", "$", "#")) + maker.word(5)
        ),
        "token": lambda: maker.word(40),
        "openai": lambda: "sk" + "-" + maker.word(44),
        "github": lambda: "gh" + "p_" + maker.word(36),
        "passport10": lambda: maker.pick(("45", "40", "65")) + maker.digits(8),
        "date_plain": lambda: (
            f"{maker.pick(('11', '02', '27'))}.{maker.pick(('03', '10', '12'))}.19{maker.pick(('71', '84', '92'))}"
        ),
    }


_MARK: Final = re.compile(r"⟦(\w+)\|([^⟧]*)⟧")
_FIELD: Final = re.compile(r"\{(\w+)\}")


def items(seed: int, rounds: int = 6) -> Iterator[Item]:
    """Yield every template `rounds` times with other values, and every negative once."""
    maker = Maker(seed)
    made = _fields(maker)
    for stratum, template in _SENTENCES:
        for _ in range(rounds):
            filled = _FIELD.sub(
                lambda match: made[match[1]]() if match[1] in made else getattr(maker, match[1])(),
                template.replace("{{", "\x00").replace("}}", "\x01"),
            )
            yield _item(stratum, filled.replace("\x00", "{").replace("\x01", "}"))
    for text in _NEGATIVES:
        yield Item("negative", text, [])


def _item(stratum: str, marked: str) -> Item:
    text, spans, position = "", [], 0
    for match in _MARK.finditer(marked):
        text += marked[position : match.start()]
        spans.append((len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        position = match.end()
    return Item(stratum, text + marked[position:], spans)
