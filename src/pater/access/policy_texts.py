"""One line for people behind every reason that the policy gives, in Czech and English."""

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "treatment": {
        "cs": "Poskytovatel čte pro účely péče o pacienta.",
        "en": "The provider reads for the patient's treatment.",
    },
    "emergency": {
        "cs": "Poskytovatel čte v nouzi; přístup bude zvlášť prověřen.",
        "en": "The provider reads in an emergency; the access will be reviewed.",
    },
    "author": {
        "cs": "Poskytovatel čte, co o pacientovi sám zapsal.",
        "en": "The provider reads what it wrote of the patient itself.",
    },
    "care-stated": {
        "cs": "Poskytovatel zapisuje, že má pacienta v péči.",
        "en": "The provider states that the patient is in its care.",
    },
    "public-health": {
        "cs": "Hygienická stanice čte epidemiologické záznamy lidí svého území.",
        "en": "The public health office reads epidemiological records of its territory.",
    },
    "insured": {
        "cs": "Pojišťovna čte pojistný vztah svého pojištěnce.",
        "en": "The insurance company reads the coverage of a person it insures.",
    },
    "own-will": {
        "cs": "Člověk rozhoduje, kdo smí vidět jeho záznam.",
        "en": "The person decides who may see their record.",
    },
    "review": {
        "cs": "Pověřenec prověřuje, kdo nahlížel.",
        "en": "The privacy officer reviews who looked.",
    },
    "probing-alarm": {
        "cs": "Ptal se na mnoho lidí, o nichž mu nesmělo být ukázáno nic.",
        "en": "Asked for many people of whom nothing could be shown.",
    },
    "probing-stopped": {
        "cs": "Ptal se na příliš mnoho lidí, o nichž mu nesmělo být ukázáno nic; musí počkat.",
        "en": "Asked for too many people of whom nothing could be shown, and has to wait.",
    },
    "audit": {
        "cs": "Auditor čte záznamy o přístupech.",
        "en": "The auditor reads the records of access.",
    },
    "explained": {
        "cs": "Správce nebo auditor si nechal vysvětlit, proč je přístup dovolen nebo odmítnut.",
        "en": "An operator or auditor had it explained why access is allowed or refused.",
    },
    "no-relation": {
        "cs": "O péči volajícího o tohoto pacienta nic nevíme.",
        "en": "Nothing is known of the caller caring for this patient.",
    },
    "withheld": {
        "cs": "Pacient si nepřeje, aby to volající viděl.",
        "en": "The patient does not want the caller to see this.",
    },
    "own-record": {
        "cs": "Člověk čte vlastní zdravotní záznam.",
        "en": "The person reads their own health record.",
    },
    "own-audit": {
        "cs": "Člověk čte, kdo nahlížel do jeho záznamu.",
        "en": "The person reads who looked at their record.",
    },
    "own-subscription": {
        "cs": "Volající spravuje vlastní odběr oznámení.",
        "en": "The caller looks after a subscription of their own.",
    },
    "not-owner": {
        "cs": "Odběr oznámení patří někomu jinému.",
        "en": "The subscription is somebody else's.",
    },
    "public": {
        "cs": "Údaje nejsou o pacientovi.",
        "en": "The data are not about a patient.",
    },
    "document": {
        "cs": "Systém poskytovatele předává dokument své organizace.",
        "en": "A provider's system submits a document of its organisation.",
    },
    "check": {
        "cs": "Kontrola bez uložení.",
        "en": "A check that stores nothing.",
    },
    "loading": {
        "cs": "Správce zavádí data.",
        "en": "The administrator loads data.",
    },
    "own-address": {
        "cs": "Adresu nového záznamu přiděluje server.",
        "en": "The server chooses the address of a new record.",
    },
    "not-found": {
        "cs": "Takový záznam tu není.",
        "en": "There is no such record.",
    },
    "deleted": {
        "cs": "Záznam byl smazán.",
        "en": "The record was deleted.",
    },
    "invalid": {
        "cs": "Dokument neprošel kontrolou a nebyl přijat.",
        "en": "The document failed its checks and was not taken in.",
    },
    "conflict": {
        "cs": "Dokument je v rozporu s jiným, který tu už je, a nebyl přijat.",
        "en": "The document conflicts with another one that is here, and was not taken in.",
    },
    "secondary-use": {
        "cs": "Výzkum tu nedostává údaje o určitých lidech: druhotné užití má vlastní cestu"
        " (nařízení (EU) 2025/327, kapitola IV).",
        "en": "Research is given no data of identifiable people here: secondary use has a way of"
        " its own (Regulation (EU) 2025/327, chapter IV).",
    },
    "no-role": {
        "cs": "Role volajícího nedává k tomuto žádné právo.",
        "en": "The caller's role gives no right to this.",
    },
    "no-purpose": {
        "cs": "Chybí účel přístupu, nebo ho role nedovoluje (purpose_of_use, např. TREAT).",
        "en": "The purpose of use is missing or not open to the role (purpose_of_use, e.g. TREAT).",
    },
    "no-scope": {
        "cs": "Rozsah oprávnění (scope) tokenu to nedovoluje.",
        "en": "The scopes of the token do not allow this.",
    },
    "weak-login": {
        "cs": "Je třeba přihlášení dvěma faktory.",
        "en": "This needs a login with two factors.",
    },
    "no-organization": {
        "cs": "Volající nemá organizaci, za kterou by jednal.",
        "en": "The caller has no organisation to act for.",
    },
    "no-person": {
        "cs": "Účet není spojen s žádným pacientem.",
        "en": "The account is not tied to any patient.",
    },
    "other-person": {
        "cs": "Záznam patří jinému člověku.",
        "en": "The record belongs to another person.",
    },
    "journal-only-grows": {
        "cs": "Záznamy o přístupech nelze vytvářet, měnit ani mazat.",
        "en": "Access records cannot be created, changed or deleted.",
    },
    "unknown-type": {
        "cs": "Takový typ záznamu neexistuje.",
        "en": "There is no such resource type.",
    },
    "not-bound": {
        "cs": "Hledání musí určit pacienta: identifikátorem, nebo, hledá-li se pacient sám,"
        " jménem a datem narození.",
        "en": "The search must name a patient: by patient, patient.identifier or _id; a search of"
        " Patient itself by identifier, or by family name and birthdate.",
    },
    "login": {"cs": "Přihlášení.", "en": "Login."},
    "logout": {"cs": "Odhlášení.", "en": "Logout."},
    "login-failed": {
        "cs": "Neúspěšné přihlášení: jméno, heslo nebo kód nesouhlasí.",
        "en": "Failed login: name, password or code is wrong.",
    },
    "login-locked": {
        "cs": "Neúspěšné přihlášení: účet je po mnoha pokusech na chvíli zamčen.",
        "en": "Failed login: the account is locked for a while after many attempts.",
    },
    "employment-ended": {
        "cs": "Zaměstnání u poskytovatele podle registru skončilo.",
        "en": "The employment at the provider has ended, says the register.",
    },
    "login-code": {
        "cs": "Neúspěšné přihlášení: jednorázový kód nesouhlasí nebo už byl použit.",
        "en": "Failed login: the one-time code is wrong or was used before.",
    },
    "login-source": {
        "cs": "Neúspěšné přihlášení: ze sítě přišlo příliš mnoho pokusů a je na chvíli zamčena.",
        "en": "Failed login: too many attempts came from the network; it is locked for a while.",
    },
    "login-new": {
        "cs": "Přihlášení z nového prohlížeče nebo z nové sítě.",
        "en": "Login from a new browser or network.",
    },
    "login-passkey": {
        "cs": "Přihlášení přístupovým klíčem.",
        "en": "Login with a passkey.",
    },
    "login-federated": {
        "cs": "Přihlášení přes poskytovatele identity.",
        "en": "Login by another provider of identities.",
    },
    "account-numbered": {
        "cs": "Správce zapsal k účtu číslo zdravotníka.",
        "en": "An operator wrote a professional's number to the account.",
    },
    "login-linked": {
        "cs": "Účet byl spojen s poskytovatelem identity.",
        "en": "The account was linked with a provider of identities.",
    },
    "login-refused": {
        "cs": "Neúspěšné přihlášení přes poskytovatele identity.",
        "en": "Failed login by another provider of identities.",
    },
    "issuer-registered": {
        "cs": "Provozovatel zapsal poskytovatele identity.",
        "en": "The operator wrote down a provider of identities.",
    },
    "issuer-removed": {
        "cs": "Provozovatel odebral poskytovatele identity.",
        "en": "The operator took a provider of identities away.",
    },
    "login-single-code": {
        "cs": "Přihlášení jednorázovým záložním kódem.",
        "en": "Login with a recovery code.",
    },
    "login-key": {
        "cs": "Neúspěšné přihlášení: přístupový klíč není platný.",
        "en": "Failed login: the passkey is not valid.",
    },
    "login-key-copied": {
        "cs": "Neúspěšné přihlášení: počítadlo přístupového klíče se vrátilo, klíč je snad kopie.",
        "en": "Failed login: the counter of the passkey went back; it may be a copy.",
    },
    "step-up": {
        "cs": "Druhý faktor prokázán znovu.",
        "en": "The second factor was shown again.",
    },
    "session-ended": {
        "cs": "Člověk ukončil jedno ze svých přihlášení.",
        "en": "The person ended one of their sessions.",
    },
    "sessions-ended": {
        "cs": "Člověk ukončil svá ostatní přihlášení.",
        "en": "The person ended their other sessions.",
    },
    "password-changed": {"cs": "Změna hesla.", "en": "The password was changed."},
    "passkey-added": {"cs": "Přidán přístupový klíč.", "en": "A passkey was added."},
    "passkey-renamed": {"cs": "Přejmenován přístupový klíč.", "en": "A passkey was renamed."},
    "passkey-removed": {"cs": "Odebrán přístupový klíč.", "en": "A passkey was removed."},
    "totp-set": {
        "cs": "Nastavena ověřovací aplikace.",
        "en": "An authenticator app was set up.",
    },
    "codes-made": {
        "cs": "Vytvořeny nové záložní kódy.",
        "en": "New recovery codes were made.",
    },
    "account-added": {"cs": "Správce založil účet.", "en": "An operator added the account."},
    "account-locked": {"cs": "Správce uzamkl účet.", "en": "An operator locked the account."},
    "account-unlocked": {
        "cs": "Správce odemkl účet.",
        "en": "An operator unlocked the account.",
    },
    "account-reset": {
        "cs": "Správce zrušil druhý faktor účtu a vydal jednorázový kód.",
        "en": "An operator took the second factor away and handed out a one-time code.",
    },
    "token": {"cs": "Vydání přístupového tokenu.", "en": "An access token was issued."},
    "token-request": {
        "cs": "Token nevydán: žádost není v pořádku.",
        "en": "No token: the request is not in order.",
    },
    "token-client": {
        "cs": "Token nevydán: systém neprokázal, kdo je.",
        "en": "No token: the system did not prove who it is.",
    },
    "token-replay": {
        "cs": "Token nevydán: potvrzení totožnosti už bylo použito.",
        "en": "No token: the assertion was used before.",
    },
    "token-scope": {
        "cs": "Token nevydán: systém nemá požadovaný rozsah oprávnění.",
        "en": "No token: the system does not hold the wanted scope.",
    },
    "token-purpose": {
        "cs": "Token nevydán: systém nemá požadovaný účel přístupu.",
        "en": "No token: the purpose of use is not open to the system.",
    },
    "app-registered": {
        "cs": "Správce zapsal aplikaci, kterou lidé mohou připojit.",
        "en": "The operator registered an app that people may connect.",
    },
    "app-removed": {
        "cs": "Správce odebral aplikaci; všem skončil její přístup.",
        "en": "The operator took the app away; its access ended for everybody.",
    },
    "app-token": {
        "cs": "Aplikace dostala přístupový token.",
        "en": "An app was given an access token.",
    },
    "app-allowed": {
        "cs": "Člověk dovolil aplikaci, aby jednala za něj.",
        "en": "The person allowed an app to act for them.",
    },
    "app-refused": {
        "cs": "Člověk aplikaci přístup nedovolil.",
        "en": "The person did not allow the app.",
    },
    "app-launched": {
        "cs": "Zdravotník otevřel aplikaci se záznamem pacienta.",
        "en": "The professional opened an app with the patient's record.",
    },
    "app-ended": {
        "cs": "Přístup aplikace byl zrušen.",
        "en": "The app's access was ended.",
    },
    "app-replay": {
        "cs": "Kód nebo token aplikace byl použit podruhé; její přístup skončil.",
        "en": "A code or token of the app was used twice; its access was ended.",
    },
    "app-code": {
        "cs": "Token nevydán: kód nebo token aplikace neplatí.",
        "en": "No token: the app's code or token is not valid.",
    },
    "app-asked": {
        "cs": "Ověření tokenu aplikace.",
        "en": "A token was looked into.",
    },
    "received": {
        "cs": "Tento přístup ve vlastním systému ohlásil poskytovatel sám.",
        "en": "The provider told of this access in its own system.",
    },
    "received-event": {
        "cs": "Poskytovatel hlásí, kdo nahlížel v jeho vlastním systému.",
        "en": "The provider tells who looked in its own system.",
    },
    "unknown-patient": {
        "cs": "Ohlášený přístup čeká: pacienta zde nikdo nezná.",
        "en": "An access that was told waits: nobody here knows the patient.",
    },
    "disputed": {
        "cs": "Pacient tento přístup zpochybnil.",
        "en": "The patient disputes this access.",
    },
    "dispute-answered": {
        "cs": "Pověřenec odpověděl na zpochybnění přístupu.",
        "en": "The privacy officer answered a dispute of an access.",
    },
    "emergency-opened": {
        "cs": "Záznam byl otevřen v nouzi s udáním důvodu; pacient dostal oznámení.",
        "en": "The record was opened in an emergency with a reason; the patient was told.",
    },
    "emergency-reviewed": {
        "cs": "Pověřenec prověřil přístup v nouzi.",
        "en": "The privacy officer reviewed an emergency access.",
    },
    "emergency-review-undone": {
        "cs": "Pověřenec vzal zpět své prověření přístupu v nouzi.",
        "en": "The privacy officer took back the review of an emergency access.",
    },
    "acting-for": {
        "cs": "Za pacienta jedná jeho zástupce: rodič, opatrovník nebo ten, koho sám pověřil.",
        "en": "A parent, a guardian or somebody whom the patient authorised acts for them.",
    },
    "acting-began": {
        "cs": "Zástupce začal jednat za pacienta.",
        "en": "A representative began to act for the patient.",
    },
    "acting-ended": {
        "cs": "Zástupce přestal jednat za pacienta.",
        "en": "A representative ceased to act for the patient.",
    },
    "representation-made": {
        "cs": "Zapsal se zástupce, který smí za pacienta jednat.",
        "en": "A representative who may act for the patient was entered.",
    },
    "representation-ended": {
        "cs": "Oprávnění zástupce skončilo.",
        "en": "The right of a representative has ended.",
    },
    "mandate-made": {
        "cs": "Poskytovatel dal člověku pověření jednat za něj.",
        "en": "A provider gave somebody a mandate to act for it.",
    },
    "mandate-ended": {
        "cs": "Poskytovatel ukončil pověření.",
        "en": "A provider ended a mandate.",
    },
    "mandates-listed": {
        "cs": "Správce poskytovatele si prohlédl, kdo za něj jedná.",
        "en": "An administrator of a provider looked at who acts for it.",
    },
    "represented-listed": {
        "cs": "Zástupce si zobrazil, za koho smí jednat.",
        "en": "A representative looked at for whom they may act.",
    },
    "representation-opened": {
        "cs": "Pacient změnil, co z jeho záznamu vidí rodič.",
        "en": "The patient changed what of the record a parent sees.",
    },
    "sealing": {
        "cs": "Systém použil službu pečetí a časových razítek.",
        "en": "The system used the service of seals and time stamps.",
    },
    "registration": {
        "cs": "Registr pacientů vede, kdo je kdo.",
        "en": "The register of patients keeps who is who.",
    },
    "asked-who": {
        "cs": "Volající se ptal, kdo je to v registru pacientů.",
        "en": "The caller asked who this is in the register of patients.",
    },
    "identity-told": {
        "cs": "Systém poskytovatele sděluje, kdo je jeho pacient.",
        "en": "A provider's system tells who its patient is.",
    },
    "asked-may": {
        "cs": "Systém se zeptal, zda někdo smí do záznamu; nic z něj neviděl.",
        "en": "A system asked whether somebody may use the record; it saw nothing of it.",
    },
    "asked-isolation": {
        "cs": "Policie se zeptala, zda platí nařízená izolace nebo karanténa (ano, nebo ne).",
        "en": "The police asked whether an isolation or quarantine order is in force (yes or no).",
    },
    "mandated": {
        "cs": "Smí jednat za organizaci podle registru zastupování.",
        "en": "May act for the organisation, by the register of rights and mandates.",
    },
    "not-permitted": {
        "cs": "Oprávnění není: chybí vztah, souhlas, nebo takový člověk.",
        "en": "It is not permitted: no relation, no consent, or no such person.",
    },
    "not-asked-for-others": {
        "cs": "Poskytovatel se ptá jen na sebe a na své pracovníky.",
        "en": "A provider asks for itself and its own professionals only.",
    },
    "forbidden-seal": {
        "cs": "Pečetit smějí systémy poskytovatelů, které k tomu mají oprávnění.",
        "en": "Sealing is for systems of providers that hold the scope seal.",
    },
}


def text(reason: str, lang: str) -> str:
    """The line for a reason key in `cs` or `en` (any other language: English).

    A key written by a later release has no line here yet; it is shown as it is.
    """
    line = TEXTS.get(reason)
    if line is None:
        return reason
    return line.get(lang, line["en"])
