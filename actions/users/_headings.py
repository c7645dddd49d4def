"""What people call the columns of a file of users: the panel's own words in each of its languages, and usual ones."""

import unicodedata

SAID = {
    "address": """
        address, e-mail, e-mail address, mail, mail address, login, mailbox, user, username
        indirizzo, indirizzo e-mail, indirizzo di posta, posta elettronica, casella, utente
        адрес, e-mail, адрес e-mail, почта, эл. почта, электронная почта, адрес эл. почты, адрес электронной почты
        ящик, пользователь, имейл
        dirección, correo, correo electrónico, dirección de correo, dirección de correo electrónico, buzón, usuario
        adres, e-posta, e-posta adresi, posta kutusu, kullanıcı
        adresse, adresse e-mail, adresse mail, adresse électronique, courriel, boîte e-mail, boîte mail, identifiant
        utilisateur, nom d’utilisateur
        адреса, адреса електронної пошти, електронна адреса, електронна пошта, пошта, скринька
        поштова скринька, користувач
        endereço, endereço de e-mail, caixa postal, usuário
        adres e-mail, adres poczty, adres skrzynki, poczta, skrzynka, użytkownik, nazwa użytkownika
        e-mail-adresse, mailadresse, postfach, benutzer, benutzername
    """,
    "first_name": """
        first name, first, given name, forename
        nome
        имя
        nombre, nombres, nombre de pila
        ad, adı, isim
        prénom, prénoms
        ім’я
        nome, primeiro nome
        imię
        vorname, vornamen
    """,
    "last_name": """
        last name, last, surname, family name
        cognome
        фамилия
        apellido, apellidos
        soyad, soyadı, soyisim
        nom, nom de famille
        прізвище
        sobrenome, último nome
        nazwisko
        nachname, familienname
    """,
    "contact_email": """
        contact e-mail, contact, contact address, recovery e-mail, alternative e-mail, secondary e-mail
        e-mail di contatto, indirizzo di contatto, contatto, e-mail di recupero, e-mail alternativa
        контактный адрес, контактная почта, контактный e-mail, контакт, резервная почта
        correo de contacto, dirección de contacto, contacto, correo alternativo, correo de recuperación
        iletişim e-postası, iletişim adresi, iletişim, kurtarma e-postası
        adresse de contact, e-mail de contact, adresse de secours, e-mail de secours, courriel de contact
        контактна адреса, контакт, резервна пошта, адреса для відновлення
        e-mail de contato, contato, e-mail de recuperação, e-mail alternativo
        kontaktowy adres e-mail, kontaktowy e-mail, e-mail kontaktowy, adres kontaktowy, kontakt, e-mail pomocniczy
        kontakt-e-mail, kontakt, kontaktadresse, ersatzadresse
    """,
    "quota_mb": """
        quota mb, quota, quota in mb, mailbox quota, mb
        spazio, spazio mb
        квота, квота мб, мб
        cuota, cuota mb, cuota en mb
        kota, kota mb
        quota mo, quota en mo, mo, espace mo
        квота мб
        cota, cota mb, cota em mb
        limit, limit mb, limit miejsca, limit miejsca mb, pojemność, pojemność mb
        speicherplatz, speicherplatz mb, speicherplatz in mb
    """,
    "language": """
        language, lang, locale
        lingua
        язык
        idioma, lengua
        dil
        langue
        мова
        idioma, língua
        język
        sprache
    """,
    "phone": """
        phone, phone number, telephone, mobile, mobile phone, cell phone
        telefono, numero di telefono, cellulare
        телефон, номер телефона, мобильный, мобильный телефон
        teléfono, número de teléfono, móvil, celular
        telefon, telefon numarası, cep telefonu
        téléphone, numéro de téléphone, portable, mobile, téléphone mobile, téléphone portable
        телефон, номер телефону, мобільний, мобільний телефон
        telefone, número de telefone, celular, telefone celular
        numer telefonu, telefon komórkowy, komórka
        telefonnummer, mobiltelefon, handy
    """,
    "state": """
        state
        stato
        состояние
        estado
        durum
        état
        стан
        estado
        stan
        zustand, status
    """,
    "created_at": """
        created at, created
    """,
}


def meaning(heading: str) -> str | None:
    """The column that a heading means, None when it is unknown, and "" for an empty heading."""
    heading = heading.strip()
    return MEANINGS.get(_bare(heading)) if heading else ""


def _bare(heading: str) -> str:
    """Its letters and digits alone, whatever their case and signs: "E-Mail" and "e_mail" are one."""
    letters = unicodedata.normalize("NFKD", heading.casefold()).replace("ı", "i")
    return "".join(filter(str.isalnum, letters))


MEANINGS = {
    _bare(word): column
    for column, words in SAID.items()
    for word in words.replace("\n", ",").split(",")
    if word.strip()
}
