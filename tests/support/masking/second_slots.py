"""What the slots of the second evaluation set's templates make: a table of kinds and makers."""

import string
from collections.abc import Callable
from typing import Final

from support.masking.second_values import HEX, WORD, Values, grouped

PHONES: Final = (
    "+7 9## ###-##-##",
    "8 (9##) ###-##-##",
    "+7(4##)###-##-##",
    "8-9##-###-##-##",
    "+79#########",
    "8 (3452) ##-##-##",
    "+7 (84235) #-##-##",
    "8 9## ### ## ##",
)
ODD_PHONES: Final = (
    "8 9## #### ###",
    "+7.9##.###.##.##",
    "8-9##-##-##-###",
    "+7 9## ### ####",
    "8(9##)#######",
    "9##-###-##-##",
    "8 - 9## - ### - ## - ##",
    "+7 (9##) ### - ## - ##",
    "+7-9##-###-####",
    "8/9##/###-##-##",
    "7 9## ### ## ##",
)
FOREIGN_PHONES: Final = (
    "+1 (415) 555-####",
    "+44 7### ######",
    "+998 9# ###-##-##",
    "+375 29 ###-##-##",
    "+971 5# ### ####",
    "+90 532 ### ## ##",
    "+7 701 ### ## ##",
    "+86 138 #### ####",
)
STREETS: Final = (
    "ул. Гагарина",
    "улица Мира",
    "пр-т Победы",
    "проспект Космонавтов",
    "пер. Тихий",
    "бульвар Строителей",
    "ш. Энтузиастов",
    "наб. Космодамианская",
    "ул. 40 лет Октября",
    "Лесная ул.",
    "Садовый проезд",
    "мкр. Солнечный",
    "ул. Карла Маркса",
    "пл. Революции",
    "Новая улица",
    "ул. Маршала Жукова",
    "ул. Братьев Кашириных",
)
HOUSES: Final = (
    "д. 14",
    "дом 7",
    "д.3/1",
    "д. 12, кв. 45",
    "21",
    "дом 5 корпус 2 квартира 18",
    "д. 9 стр. 1 оф. 304",
    "16а, кв. 3",
    "д. 22Б",
    "15-48",
    "вл. 8",
    "д. 40, подъезд 2, этаж 5, кв. 77",
)
CITIES: Final = (
    "г. Тюмень",
    "Самара",
    "город Уфа",
    "г. Ростов-на-Дону",
    "Московская обл., г. Химки",
    "Пермский край, г. Лысьва",
    "респ. Башкортостан, г. Стерлитамак",
    "Екатеринбург",
    "Свердловская область, Нижний Тагил",
    "с. Ильинское",
    "пос. Октябрьский",
    "СПб",
    "Н. Новгород",
)


def address(values: Values) -> str:
    """Return an address as it is written on letters and forms."""
    random = values.random
    where = f"{random.choice(CITIES)}, {random.choice(STREETS)}, {random.choice(HOUSES)}"
    return random.choice(
        (
            where,
            f"{values.filled('6#####', '1#####')}, {where}",
            f"Россия, {values.filled('4#####')}, {where}",
            f"{random.choice(STREETS)}, {random.choice(HOUSES)}",
        )
    )


def _plate(values: Values) -> str:
    letters = values.some("АВЕКМНОРСТУХ", 3)
    region = values.filled("59", "1##", "777")
    digits = values.filled("###")
    return values.random.choice(
        (
            f"{letters[0]}{digits}{letters[1:]}{region}",
            f"{letters[0]} {digits} {letters[1:]} {region}",
            f"{letters[0]}{digits}{letters[1:]} {region}",
        )
    )


def _dotted(account: str) -> str:
    return ".".join((account[:5], account[5:8], account[8], account[9:13], account[13:]))


MAKERS: Final[dict[str, tuple[str, Callable[[Values], str]]]] = {
    "inn10": ("inn", Values.inn10),
    "inn12": ("inn", Values.inn12),
    "ogrn": ("ogrn", Values.ogrn),
    "ogrnip": ("ogrn", Values.ogrnip),
    "snils": ("snils", Values.snils),
    "snilsd": ("snils", lambda v: v.snils(v.random.choice(("{}{}{}{}", "{} {} {} {}", "{}-{}-{}-{}")))),
    "oms": ("oms", Values.oms),
    "omsg": ("oms", lambda v: v.oms(spaced=True)),
    "card": ("card", Values.card),
    "cardn": ("card", lambda v: v.luhn("2200", 16)),
    "cardodd": ("card", Values.card_odd),
    "acc": ("bank_account", lambda v: v.account("044525225")),
    "accg": (
        "bank_account",
        lambda v: v.random.choice((grouped(v.account("044525225"), " ", 4), _dotted(v.account("044525225")))),
    ),
    "ks": ("bank_account", lambda v: v.account("044525225", correspondent=True)),
    "bik": ("bik", lambda _: "044525225"),
    "kpp": ("kpp", lambda v: v.filled("59##01001", "7704010##", "165543001")),
    "iban": ("iban", Values.iban),
    "ibang": ("iban", lambda v: v.iban(spaced=True)),
    "btc": ("crypto", lambda v: "bc1q" + v.some("023456789acdefghjklmnpqrstuvwxyz", 38)),
    "eth": ("crypto", lambda v: "0x" + v.some(HEX, 40)),
    "passport": ("passport", lambda v: v.filled("57 1# ######", "571# ######", "571#######", "57 1# № ######")),
    "pser": ("passport", lambda v: v.filled("57 1#", "571#")),
    "pnum": ("passport", lambda v: v.filled("######")),
    "vu": ("driver_licence", lambda v: v.filled("59 1# ######", "591#######", "59 УК ######")),
    "plate": ("plate", _plate),
    "platelow": ("plate", lambda v: _plate(v).lower()),
    "phone": ("phone", lambda v: v.filled(*PHONES)),
    "phoneodd": ("phone", lambda v: v.filled(*ODD_PHONES)),
    "phonei": ("phone", lambda v: v.filled(*FOREIGN_PHONES)),
    "phonedig": ("phone", lambda v: v.filled("89#########", "9#########", "79#########")),
    "phonelocal": ("phone", lambda v: v.filled("2##-##-##", "36-##-##", "(3412) ##-##-##")),
    "phoneext": (
        "phone",
        lambda v: v.filled("8 (495) ###-##-## доб. ###", "+7 812 ###-##-##, доб. ####", "8-800-###-##-## ext. ##"),
    ),
    "dob": (
        "birth_date",
        lambda v: v.birth_date(
            "{d:02}.{m:02}.{y}", "{d}.{m:02}.{y}", "{d:02}/{m:02}/{y}", "{d:02}.{m:02}.{yy:02}", "{d:02}-{m:02}-{y}"
        ),
    ),
    "dobw": (
        "birth_date",
        lambda v: v.birth_date("{d} {name} {y} года", "{d} {name} {y} г.", "«{d}» {name} {y}", "{d} {name} {y}"),
    ),
    "dobe": (
        "birth_date",
        lambda v: v.birth_date("{en} {d}, {y}", "{d} {en} {y}", "{m:02}/{d:02}/{y}", "{y}-{m:02}-{d:02}"),
    ),
    "dobiso": ("birth_date", lambda v: v.birth_date("{y}-{m:02}-{d:02}")),
    "dobyear": ("birth_date", lambda v: v.birth_date("{y}")),
    "email": (
        "email",
        lambda v: (
            v.random.choice(("o.lapteva", "zhukov1987", "sales+crm", "t_shcheglov", "hr"))
            + "@"
            + v.random.choice(("kamaopt.ru", "inbox.ru", "yandex.by", "logistic-24.com", "почта.рф"))
        ),
    ),
    "emailsob": (
        "email",
        lambda v: v.random.choice(
            (
                "lapteva собака inbox точка ru",
                "zhukov1987[собака]mail.ru",
                "info (собака) kamaopt.ru",
                "hr @ kamaopt.ru",
            )
        ),
    ),
    "emailat": (
        "email",
        lambda v: v.random.choice(("zhukov(at)inbox.ru", "o.lapteva [at] kamaopt [dot] ru", "t.sh at inbox dot ru")),
    ),
    "tg": ("telegram", lambda v: "@" + v.random.choice(("lapteva_olya", "zhukov87", "t_shcheglov_hr"))),
    "ip": ("ip", lambda v: ".".join(str(v.random.randint(130, 220)) for _ in range(4))),
    "ip6": ("ip", lambda v: "2a02:6b8:" + ":".join(v.some(HEX, 4) for _ in range(6))),
    "addr": ("address", address),
    "addrlow": ("address", lambda v: address(v).lower()),
    "addrloc": (
        "address",
        lambda v: v.random.choice(
            (
                "Гагарина 14 кв 6",
                "Лесной 3-17",
                "Карла Маркса, 52",
                "проспекте Мира 18, квартира 4",
                "Советской 11а кв. 29",
            )
        ),
    ),
    "addren": (
        "address",
        lambda v: v.random.choice(
            (
                "742 Evergreen Terrace, Springfield, IL 62704",
                "15 Rue de Rivoli, 75004 Paris",
                "Hauptstraße 28, 10827 Berlin",
                "48 King's Road, Flat 5, London SW3 4UD",
                "1200 Market St, Apt 7B, San Francisco, CA 94102",
            )
        ),
    ),
    "company": (
        "company",
        lambda v: v.random.choice(
            ("ООО «КамаОпт»", "АО «Уралкабель»", 'ООО "Логистик-24"', "ПАО «Северный поток»", "ООО ТД «Мастер»")
        ),
    ),
    "companyen": ("company", lambda v: v.random.choice(("Brightwater Ltd", "Kama Trading LLC", "Nordlicht GmbH"))),
    "pw": ("secret", Values.password),
    "pwn": ("secret", lambda v: v.password("_-")),
    "pwj": ("secret", lambda v: v.password("!*")),
    "pwu": ("secret", lambda v: v.password("!_")),
    "s:ghp": ("secret", lambda v: "ghp_" + v.some(WORD, 36)),
    "s:ghpat": ("secret", lambda v: "github_pat_" + v.some(WORD, 22) + "_" + v.some(WORD, 59)),
    "s:glpat": ("secret", lambda v: "glpat-" + v.some(WORD, 20)),
    "s:slack": ("secret", lambda v: "xoxb-" + v.filled("############-############-") + v.some(WORD, 24)),
    "s:skproj": ("secret", lambda v: "sk-proj-" + v.some(WORD + "-_", 60)),
    "s:skant": ("secret", lambda v: "sk-ant-api03-" + v.some(WORD + "-_", 90)),
    "s:aws": ("secret", lambda v: v.some(WORD + "+/", 39) + "a"),
    "s:akia": ("secret", lambda v: "AKIA" + v.some(string.ascii_uppercase + "234567", 16)),
    "s:aiza": ("secret", lambda v: "AIza" + v.some(WORD + "-_", 35)),
    "s:hf": ("secret", lambda v: "hf_" + v.some(string.ascii_letters, 34)),
    "s:npm": ("secret", lambda v: "npm_" + v.some(WORD, 36)),
    "s:pypi": ("secret", lambda v: "pypi-AgEIcHlwaS5vcmc" + v.some(WORD + "-_", 80)),
    "s:stripe": ("secret", lambda v: "sk_" + "live_" + v.some(WORD, 24)),
    "s:sendgrid": ("secret", lambda v: "SG." + v.some(WORD, 22) + "." + v.some(WORD, 43)),
    "s:tgbot": ("secret", lambda v: v.filled("6#########:AA") + v.some(WORD + "_-", 33)),
    "s:yc": ("secret", lambda v: "t1." + v.some(WORD, 30) + "." + v.some(WORD + "-_", 86)),
    "s:yoauth": ("secret", lambda v: "y0_AgAAAA" + v.some(WORD + "-_", 48)),
    "s:vault": ("secret", lambda v: "hvs." + v.some(WORD, 24)),
    "s:do": ("secret", lambda v: "dop_v1_" + v.some(HEX, 64)),
    "s:hex32": ("secret", lambda v: v.some(HEX, 32)),
    "s:hex40": ("secret", lambda v: v.some(HEX, 40)),
    "s:rnd40": ("secret", lambda v: v.some(WORD + "!@#%^&*", 40)),
    "s:jwt": (
        "secret",
        lambda v: ".".join(("eyJ" + v.some(WORD, 33), "eyJ" + v.some(WORD, 50), v.some(WORD + "-_", 43))),
    ),
    "s:pem": ("secret", lambda v: "\n".join(v.some(WORD + "+/", 64) for _ in range(3))),
    "s:azure": ("secret", lambda v: v.some(WORD + "+/", 86) + "=="),
    "s:slackhook": (
        "secret",
        lambda v: f"T{v.some(string.ascii_uppercase, 8)}/B{v.some(string.ascii_uppercase, 8)}/{v.some(WORD, 24)}",
    ),
}
"""What a slot makes: the corpus's kind, and how."""
