"""The guides that people of other services follow today: their steps lead to the same end here, by the same words, in
the guide's language. Each test is named after the service.
"""

from playwright.sync_api import Page, expect

from actions.devices import device_passwords

from .panel import MANAGER, Panel, Person, until
from .people import is_refused, letter_link, press

BOSS = Person(MANAGER)
SET = "Quiet-Harbour-71"


def in_language(new_context, language: str, person: Person, fields: tuple[str, str, str], address: str = "/") -> Page:
    """Somebody's browser of that language, signed in by the fields and the button with these words."""
    page = new_context(locale=language).new_page()
    page.goto(address)
    login, password, button = fields
    page.get_by_label(login).fill(person.login)
    page.get_by_label(password, exact=True).fill(person.password)
    press(page, button)
    return page


def follow(page: Page, link: str) -> None:
    page.get_by_role("link", name=link, exact=True).click()


RUSSIAN = ("Адрес e-mail", "Пароль", "Войти")


def test_mail_light_sends_new_passwords_of_several_mailboxes(new_context, panel: Panel, person: Person):
    """«Действующие заказы» → the service → the key at an address → E-mail, one or several → «Изменить»."""
    page = in_language(new_context, "ru", BOSS, RUSSIAN)
    follow(page, "Действующие заказы")
    follow(page, "Mail Light")
    page.get_by_role("link", name="Изменить пароль").first.click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("example.org")
    other = panel.person()
    page.locator(".picker > summary").click()
    for each in (person, other):
        page.get_by_label("Найти", exact=True).fill(each.login.partition("@")[0])
        page.get_by_label(each.login).check()
    expect(page.get_by_label("Телефон")).to_have_value("+39 333 123 4567")
    expect(page.get_by_label("ФИО")).to_have_value("Mara Lind")
    expect(page.get_by_label("E-mail для отправки реквизитов")).to_have_value(MANAGER)
    press(page, "Изменить")
    page.get_by_label("Ваш пароль").fill(BOSS.password)
    page.get_by_role("button", name="Изменить").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Новые пароли")
    page.reload()
    until(lambda: page.get_by_text("Готово", exact=True).count() or page.reload() and False, 60)
    assert is_refused(new_context().new_page(), person.login, person.password)


ITALIAN = ("Indirizzo e-mail", "Password", "Accedi")


def test_the_pec_webmail_resets_a_collaborators_password(new_context, panel: Panel, person: Person):
    """Collaborazioni → ⋮ → Reimposta password → the notice → the e-mail's link, which can be sent again: Sospeso, and
    Attivo once there is a new password."""
    page = in_language(new_context, "it", person, ITALIAN, "/collaborations/new")
    page.get_by_label("Nome", exact=True).fill("Mario")
    page.get_by_label("Cognome").fill("Rossi")
    page.get_by_label("E-mail di riferimento").fill("mario@contact.example.com")
    page.get_by_label("Nome utente").fill("mario.rossi")
    press(page, "Continua")
    press(page, "Crea l’account")
    login = f"mario.rossi/{person.login}"
    outbox = new_context(locale="it").new_page()
    first = letter_link(outbox, login, "/links/password/")
    set_password(outbox, first)

    page.get_by_role("navigation").get_by_role("link", name="Collaborazioni").click()
    page.get_by_role("button", name="Azioni per Mario Rossi").click()
    follow(page, "Reimposta password")
    expect(page.get_by_role("dialog")).to_contain_text("mario@contact.example.com")
    press(page, "Reimposta password")
    row = page.get_by_role("row").filter(has_text=login)
    expect(row).to_contain_text("Sospeso")
    assert is_refused(new_context().new_page(), login, SET)

    second = until(lambda: (found := letter_link(outbox, login, "/links/password/")) != first and found)
    page.get_by_role("button", name="Azioni per Mario Rossi").click()
    follow(page, "Dettagli")
    press(page, "Rimanda e-mail per impostare la password")
    third = until(lambda: (found := letter_link(outbox, login, "/links/password/")) != second and found)
    outbox.goto(second)
    expect(outbox.get_by_label("Nuova password")).to_have_count(0)
    set_password(outbox, third)
    page.goto("/collaborations/")
    expect(row).to_contain_text("Attivo")


def set_password(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_label("Nuova password", exact=True).fill(SET)
    page.get_by_label("Conferma nuova password").fill(SET)
    press(page, "Imposta password")
    page.wait_for_url("**/sign-in")


ENGLISH = ("E-mail address", "Password", "Sign in")


def test_groupoffice_changes_the_password_from_my_account(new_context, person: Person):
    """The user icon → My account → new, confirm, the arrow that suggests → the button with the long words."""
    page = in_language(new_context, "en-GB", person, ENGLISH)
    press(page, "Account")
    follow(page, "My account")
    page.get_by_role("navigation").get_by_role("link", name="Password").click()
    page.get_by_label("Current password").fill(person.password)
    press(page, "Suggest a strong password")
    suggested = page.get_by_label("New password", exact=True).input_value()
    expect(page.get_by_label("Confirm new password")).to_have_value(suggested)
    press(page, "Update password and log me out from everywhere")
    press(page, "Update and log out everywhere")
    page.wait_for_url("**/sign-in")
    assert is_refused(page, person.login, person.password)
    in_language(new_context, "en-GB", Person(person.login, suggested), ENGLISH).wait_for_url("**/overview/")


def test_the_customer_panel_sets_a_users_password(new_context, person: Person):
    """The service → Info (i) → Manage Users → Edit → Change Password, Suggest a Strong Password, Quota → Save."""
    page = in_language(new_context, "en-GB", BOSS, ENGLISH)
    follow(page, "Active orders")
    follow(page, "Info about Mail Light")
    expect(page.get_by_role("heading", name="General information")).to_be_visible()
    follow(page, "Manage users")
    page.get_by_label("Search by name or address").fill(person.login)
    follow(page, person.login)
    expect(page.get_by_label("First name")).to_have_value("Vera")
    expect(page.get_by_label("Last name")).to_have_value("Lindqvist")
    page.get_by_label("Change password").check()
    press(page, "Suggest a strong password")
    suggested = page.get_by_label("New password", exact=True).input_value()
    page.get_by_label("Quota", exact=True).fill("2")
    press(page, "Save")
    expect(page.get_by_role("row").filter(has_text=person.login)).to_contain_text("2 GB")
    assert is_refused(new_context().new_page(), person.login, person.password)
    theirs = in_language(new_context, "en-GB", Person(person.login, suggested), ENGLISH)
    expect(theirs.get_by_label("New password", exact=True)).to_be_visible()


SPANISH = ("Dirección de correo", "Contraseña", "Iniciar sesión")


def test_infomaniak_gives_a_device_a_password(new_context, person: Person):
    """Dispositivos → Agregar un dispositivo → para quién, icono, nombre → Continuar → copiar → Finalizar; ⋮ → Modificar
    la contraseña, Desconectar el dispositivo."""
    page = in_language(new_context, "es", person, SPANISH)
    page.get_by_role("navigation").get_by_role("link", name="Dispositivos").click()
    follow(page, "Agregar un dispositivo")
    page.get_by_label("Otro programa de correo").check()
    page.get_by_label("Yo", exact=True).check()
    page.get_by_label("Teléfono", exact=True).check()
    page.get_by_label("Nombre", exact=True).fill("Teléfono de Vera")
    press(page, "Continuar")
    first = page.locator("#device-password").inner_text()
    assert device_passwords.SHAPE.fullmatch(first)
    expect(page.get_by_role("button", name="Copiar", exact=True).first).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="IMAP")).to_be_visible()
    follow(page, "Finalizar")
    device = page.get_by_role("row").filter(has_text="Teléfono de Vera")
    expect(device).to_contain_text("por usted")
    device.get_by_role("button").click()
    follow(page, "Modificar la contraseña")
    press(page, "Modificar la contraseña")
    assert page.locator("#device-password").inner_text() != first
    follow(page, "Finalizar")
    device.get_by_role("button").click()
    follow(page, "Desconectar el dispositivo")
    press(page, "Desconectar el dispositivo")
    expect(device).to_have_count(0)


def test_infomaniak_lets_a_manager_invite_the_user(new_context, person: Person):
    """The product → the address → the tab Dispositivos: a link of thirty days, to copy or sent by e-mail."""
    page = in_language(new_context, "es", BOSS, SPANISH)
    follow(page, "Pedidos activos")
    follow(page, "Mail Light")
    page.get_by_label("Buscar").first.fill(person.login)
    follow(page, person.login)
    page.locator(".tabs").get_by_role("link", name="Dispositivos").click()
    follow(page, "Invitar al usuario")
    page.get_by_label("Nombre", exact=True).fill("Teléfono de Vera")
    press(page, "Invitar")
    expect(page.get_by_role("row").filter(has_text="Teléfono de Vera")).to_be_visible()
