"""The usual words for columns and tables in Italian, French, Spanish, Portuguese, Polish and Dutch.

Patterns of names as `spelled` returns them, so without accents. English, German and Korean stand in `names`.
"""

_COD = r"(cod(ice|igo|e)?|kod|nr|no|num(ero|er)?|n|id|ref|symbol)"
_OF = r"((di|de|del|della|des|du|da|do|d|la|l|na|van)_)*"
_ART = (
    r"(art(icol[oi]|iculo|icle|igo|ikel|ykul[uy]?)?|pezzo|pieza|peca|piece|prodotto|produit|producto|produto|produktu?"
    r"|wyrobu?|detalu?|materiale|materiau|onderdeel|referen(ce|cia|tie)|indeksu?)"
)
_STEP = (
    r"(fase|phase|operazione|operation|operacion|operacao|operacj[ai]|operatie|bewerking|zabieg|czynnosc"
    r"|etape|etapa|tarea|tache)"
)
_PLACE = (
    r"(cd_?l|centro_di_lavoro|centro_lavoro|centro_(de_)?(trabajo|trabalho)|(poste|centre)_(de_)?(charge|travail)"
    r"|puesto_(de_)?trabajo|posto_(de_)?trabalho|stanowisk\w*|gniazdo|werkplek|werkpost|macch(ina)?|maquina|maszyn\w*"
    r"|impianto|risorsa|ressource|recurso|zasob|equipo|equipamento|reparto|atelier|taller)"
)
_ORDER = (
    r"(ordine|odp|commessa|ordre|orden|ordem|zlecen\w*|zlec|productieorder|werkorder|opdracht|of)"
    r"(_(di|de)?_?(prod\w*|fabr\w*|trab\w*|lav\w*))?"
)
_QTY = (
    r"(q_ta|qta|qte|quantita|quantite|cantidad|cant|quantidade|qtde?|ilosc|aantal|hoeveelheid|pz|pezzi|piezas|pecas"
    r"|sztuk\w*|szt|stuks)"
)
_GOOD = (
    r"(buon\w*|bonn\w*|buen\w*|boas?|dobr\w*|goede?|ok|vers\w*|prod\w*|fabri\w*|wykon\w*|realizad\w*|conform\w*|gereed)"
)
_NAME = r"(desc(r\w*)?|denomin\w*|designa\w*|libelle|nome|nom|nombre|opis|nazwa|omschrijving|benaming|naam|designacao)"
_DAY = r"(data|date|fecha|datum)"
_VALID = r"(valid\w*|vigen\w*|valable|wazn\w*|obowiaz\w*|geldig\w*)"

# To each role a strong pattern and a weaker one.
WORDS: dict[str, tuple[str, str]] = {
    "item_code": (
        rf"^{_COD}_{_OF}{_ART}$|^{_ART}_{_COD}$|^(articolo|articulo|artigo|artykul|artikelcode|indeks|referencia|wyrob)$",
        rf"^{_ART}$|(^|_)(articolo|article|articulo|artigo|artykul\w*)(_|$)",
    ),
    "sequence": (
        rf"^({_COD}_{_OF})?{_STEP}(_{_COD})?$|^(sequenza|secuencia|sequencia|volgorde|volgnummer|seq_(no|nr|num)|kolejnosc|stap(nr)?|krok)$",
        r"^(lp|rang|progr?(essivo)?|paso|passo|pozycja|orden|ordem)$",
    ),
    "operation_code": (rf"^({_COD}_{_OF})?{_STEP}(_{_COD})?$|^(cod\w*_)?lavorazione$", rf"(^|_){_STEP}(_|$)"),
    "operation_name": (rf"^{_NAME}_{_OF}{_STEP}|^{_STEP}_{_NAME}", r"^$"),
    "resource_code": (rf"^({_COD}_{_OF})?{_PLACE}(_{_COD})?$", rf"(^|_){_PLACE}(_|$)"),
    "resource_name": (rf"^{_NAME}_{_OF}{_PLACE}|^{_PLACE}_{_NAME}", r"^$"),
    "routing_no": (
        (rf"^({_COD}_{_OF})?(ciclo|gamme|ruta|roteiro|marszrut\w*)(_({_COD}|ver\w*|alt\w*))?$"
        r"|^(ver(s(ione|ion|ie|ao)?)?|wersja|var(iante)?|wariant)$"),
        r"(^|_)(ciclo|gamme|marszrut\w*|versione|version|wersja|versie)(_|$)",
    ),
    "inside": (r"^$", r"estern|terzist|conto_lav|sous_trait|subcontrat|terceir|kooperac|uitbested"),
    "setup_minutes": (
        (r"(^|_)(attrezz\w*|attr|piazz\w*|prepar\w*|reglages?|regl|ajuste|przezbr\w*|przygot\w*|tpz|omstel\w*|instel\w*"
        r"|steltijd|mise_en_train)(_|$)|(^|_)su_(min|mins|hrs?|sec|time)$|^(min|mins|hrs?|sec)_su$"),
        r"^$",
    ),
    "run_minutes": (
        (r"(^|_)(lavoraz\w*|lav|esecuz\w*|ejecuc\w*|execuc\w*|usinage|mecanizad\w*|maquinad\w*|obrobk\w*|jednostk\w*|tj"
        r"|bewerkingstijd|cyclustijd|stuktijd|looptijd)(_|$)|(ciclo|cycle|cyklu)_.|._(ciclo|cycle|cyklu)$"),
        (r"(^|_)(t|tempo|temps|tiempo|czas\w*|ore|heures?|horas?|godz\w*|uren|minuti|minutos|minuty|secondi|segundos"
        r"|sekundy|duree|durata|duracion|duracao)(_|$)|tijd(_|$)"),
    ),
    "valid_from": (
        rf"^({_DAY}_)?{_VALID}_(dal?|du|desde|de|od|vanaf|van)$|^({_DAY}_)?(inizio|debut|inicio|poczatek)_{_OF}{_VALID}$",
        r"^(dal|desde|vanaf|od)$|^data_od$",
    ),
    "valid_to": (
        rf"^({_DAY}_)?{_VALID}_(al?|au|fino|hasta|ate|do|tot)$|^({_DAY}_)?(fine?|fim|koniec|scad\w*)_{_OF}{_VALID}$",
        r"^(al|hasta|ate|tot|do)$|^data_do$",
    ),
    "created_at": (rf"^{_DAY}_(ins\w*|crea\w*|alta|utworz\w*|aanmaak\w*)$", r"^$"),
    "order_no": (rf"^({_COD}_{_OF})?{_ORDER}(_{_COD})?$", rf"(^|_){_ORDER}(_|$)"),
    "reported_at": (
        (rf"^{_DAY}$|(^|_){_DAY}_{_OF}(vers|reg|consunt|fin|chius|cierre|notif|termin|fim|conclu|zakon|wykon|gereed|boek|meld"
        r"|prod|rapport|point|saisie)"),
        r"(^|_)(data|fecha|giorno|jour|dzien|dag)(_|$)",
    ),
    "quantity": (rf"^{_QTY}(_{_GOOD})?$|^{_GOOD}_{_QTY}$", rf"(^|_){_QTY}(_|$)"),
    "bad_quantity": (
        (r"(^|_)(scart\w*|rebut\w*|rechaz\w*|desech\w*|merma|refugo|rejeit\w*|sucata|brak\w*|odpad\w*|wybrak\w*|afkeur\w*"
        r"|uitval\w*|non_conform\w*)(_|$)"),
        r"^$",
    ),
    "lot_quantity": (
        (rf"(^|_){_QTY}_{_OF}((per|par|por)_)?(lotto|lot|lote|partii|serie|base|ciclo)$|^(pz|pezzi)_per_|^(lot|batch)_base$"
        r"|(lot|serie|partij)grootte|^(taille|tamano|tamanho|wielkosc)_(lot|lote|partii|serie)"),
        r"^$",
    ),
    "unit": (r"(^|_)(um|u_m|unita(_di)?_misura|unite|unidade?|jm|j_m|jednostka\w*|eenheid)(_|$)", r"^$"),
    "drawing": (
        r"(^|_)(disegn\w*|dessin|plano|desenho|rysun\w*|rys|tekening\w*)(_|$)|^(nr|num\w*|n)_(de_)?plan$",
        r"^$",
    ),
    "family": (
        (r"^(gr(uppo)?_merc\w*|famiglia|famille|familia|rodzina|grup[aop]\w*|rodzaj|tipo|categori[ae]|kategoria|classe|clase"
        r"|klasa|groep|(artikel|product)groep|soort)(_\w+)?$"),
        r"gruppo|famigl|famill|categori|merceol",
    ),
    "size": (
        (r"(^|_)(diam\w*|lungh\w*|largh\w*|spess\w*|altezza|peso|longueur|largeur|hauteur|epaisseur|poids|longitud|anch[ou]\w*"
        r"|altura|espesor|grosor|comprimento|largura|espessura|dlugosc|szerokosc|wysokosc|grubosc|srednica|waga|masa"
        r"|lengte|breedte|hoogte|dikte|raggio|rayon|raio|alesage|foro)(_|$)"),
        r"^$",
    ),
    "text": (rf"(^|_){_NAME}(_|$)|(^|_)(note|annotaz\w*|observac\w*|uwagi|remarques?|opmerking\w*)(_|$)", r"^$"),
}  # fmt: skip

TABLE_WORDS: dict[str, str] = {
    "items": r"anagraf|ana_?art|articol|articul|artigo|artyku|wyrob|pieza|peca|onderdel|onderdeel|produit|maestr",
    "routings": r"cicl[io]|gamme|ruta|roteiro|marszrut|technolog|bewerking|fasi|operazion|operacion|operaco|operacj",
    "work_results": (
        r"versament|consunt|avanz|pointage|declar|parte|notific|apont|raport|rapport|realiz|gereed|registr|meldun|ticket"
        r"|labou?r|timesheet"
    ),
}

TIME_WORDS: dict[str, str] = {
    "seconds": r"(^|_)(secondi|secondes|segundos?|seg|sekundy?|seconden)(_|$)",
    "minutes": r"(^|_)(minuti|minutos?|minuty?)(_|$)",
    "hours": r"(^|_)(ore|ora|heures?|horas?|godz\w*|uren|uur)(_|$)",
    "days": r"(^|_)(giorni|gg|jours?|dias|dni|dagen)(_|$)",
}
