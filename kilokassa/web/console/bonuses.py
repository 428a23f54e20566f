"""Staff publish bonus rules, begin campaigns, see where budgets went and what accounts got."""

from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, StringField
from wtforms.validators import InputRequired, Length, Regexp, ValidationError

from kilokassa.app.bonuses import why_not
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web.bonuses import (
    by_rule_table,
    campaign_state,
    campaigns_table,
    days_table,
    grants_table,
    held_table,
    last_day,
    promise_text,
    refused_table,
    rule_state,
    rules_table,
)
from kilokassa.web.doers import Doers
from kilokassa.web.forms import FileForm, Form
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from wallet import store as wallet_store
from wallet.bonuses import store
from wallet.bonuses.documents import EXAMPLE, MOST_BYTES, promise, read_rule
from wallet.bonuses.service import CampaignOrder, begin_campaign, publish_rule
from wallet.bonuses.wording import KIND_WORDS

CHECK: Final = "check"


class RuleForm(FileForm):
    """The document of a rule."""


class CampaignForm(Form):
    """A campaign to begin."""

    code = StringField(
        mark("Code"), validators=[InputRequired(), Regexp(r"\A[a-z0-9][a-z0-9_-]{0,39}\Z")]
    )
    name = StringField(mark("Name in Russian"), validators=[InputRequired(), Length(max=200)])
    name_en = StringField(mark("Name in English"), validators=[Length(max=200)])
    budget = StringField(mark("Budget, roubles"), validators=[InputRequired(), Length(max=20)])
    begins_on = DateField(mark("First day"), validators=[InputRequired()])
    last_on = DateField(mark("Last day"), validators=[InputRequired()])

    budget_minor = 0

    def validate_budget(self, field: StringField) -> None:
        """Read the amount exactly; refuse what is not one."""
        try:
            self.budget_minor = parse_minor("".join((field.data or "").split()))
        except Invalid:
            raise ValidationError(
                translate(mark("Write an amount such as 1500 or 1500.50."))
            ) from None
        if self.budget_minor <= 0:
            raise ValidationError(translate(mark("The amount must be more than zero.")))


def bonuses() -> ResponseReturnValue:
    """Show the rules and the campaigns."""
    return _page(visit(), None, None)


def publish_bonus() -> ResponseReturnValue:
    """Publish a rule, or only check it."""
    here = visit()
    form = RuleForm()
    if not form.validate():
        return _page(here, form, None)
    name = (form.file.data.filename or "bonus.yaml")[:100]
    try:
        text = form.file.data.read(MOST_BYTES + 1).decode("utf-8-sig")
        if CHECK in request.form:
            found = read_rule(text, name)
            message, values = promise(found.terms, here.language)
            said = translate(mark("The document is right: %(rule)s — %(promise)s."))
            told = {"rule": found.code, "promise": translate(message) % values}
            flash(said % told, "good")
            return redirect(url_for("console.bonuses"))
        scope, clock, today = here.scope, here.application.clock, here.today
        with here.writing() as session:
            rule, new = publish_rule(session, scope, text, name, clock, today=today)
    except UnicodeDecodeError:
        form.form_errors.append(translate(mark("The file is no text in UTF-8.")))
    except DomainError as error:
        form.form_errors.append(sentence(error, here.language))
    else:
        published = mark("The rule was published.")
        flash(translate(published if new else mark("That was recorded before.")), "good")
        return redirect(url_for("console.bonus_rule", code=rule.code))
    return _page(here, form, None)


def begin_bonus_campaign() -> ResponseReturnValue:
    """Begin a campaign."""
    here = visit()
    form = CampaignForm()
    if form.validate():
        try:
            order = CampaignOrder(
                code=form.code.data,
                name=form.name.data,
                name_en=form.name_en.data or "",
                budget_minor=form.budget_minor,
                begins_on=form.begins_on.data,
                ends_on=form.last_on.data.fromordinal(form.last_on.data.toordinal() + 1),
            )
            scope, clock = here.scope, here.application.clock
            with here.writing() as session:
                found, new = begin_campaign(session, scope, order, clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        except (ValueError, OverflowError):
            form.form_errors.append(translate(mark("The last day is beyond every calendar.")))
        else:
            begun = mark("The campaign has begun.")
            flash(translate(begun if new else mark("That was recorded before.")), "good")
            return redirect(url_for("console.campaign", code=found.code))
    return _page(here, None, form)


def bonus_rule(code: str) -> str:
    """Show a rule in all its versions, with the texts as published."""
    here = visit()
    versions = store.versions_of(here.session, here.scope, code)[::-1]
    running = frozenset(one.id for one in store.rules_in_force(here.session, here.today))
    return render_template(
        "console/bonus_rule.html",
        active="console.bonuses",
        versions=versions,
        name=versions[0].document.named(here.language),
        states={one.id: rule_state(one, running, here.today) for one in versions},
        promises={one.id: promise_text(one, here.language) for one in versions},
        running=running,
        kinds=KIND_WORDS,
        doers=Doers(here, [one.published_by for one in versions]),
    )


def campaign(code: str) -> ResponseReturnValue:
    """Show where the budget of a campaign went."""
    here = visit()
    report = store.campaign_report(here.session, here.scope, code)
    names = store.rule_names(here.session, here.language)
    tables: dict[str, Table[Any]] = {
        "days": days_table(report, names),
        "by-rule": by_rule_table(report, names),
    }
    if export_asked() in tables:
        return tables[export_asked()].csv()
    one = report.campaign
    return render_template(
        "console/campaign.html",
        active="console.bonuses",
        campaign=one,
        report=report,
        name=one.named(here.language),
        last_day=last_day(one.ends_on),
        state=campaign_state(one, here.today),
        tables=tables,
        doers=Doers(here, [one.actor]),
    )


def account_bonuses(number: str) -> ResponseReturnValue:
    """Show what an account was granted, what it holds, and why rules gave nothing."""
    here = visit()
    row, account_id = account_of(here, number)
    names = store.rule_names(here.session, here.language)
    last = Month.of(here.today).plus(-1)
    tables: dict[str, Table[Any]] = {
        "held": held_table(
            wallet_store.lots_of(here.session, here.scope, account_id), names, here.now
        ),
        "grants": grants_table(store.grants_of(here.session, here.scope, account_id), names),
        "refused": refused_table(
            why_not(here.session, account_id, here.zone, last, here.today), here.language
        ),
    }
    if export_asked() in tables:
        return tables[export_asked()].csv()
    return render_template(
        "console/account_bonuses.html", active="console.accounts", account=row, tables=tables
    )


def _page(here: Visit, rule: RuleForm | None, campaign: CampaignForm | None) -> ResponseReturnValue:
    every = store.published_rules(here.session)
    latest = {one.code: one for one in every}
    in_force = store.rules_in_force(here.session, here.today)
    shown = {one.code: one for one in in_force}
    tables: dict[str, Table[Any]] = {
        "rules": rules_table(
            [shown.get(code, one) for code, one in latest.items()],
            frozenset(one.id for one in in_force),
            here.today,
            here.language,
        ),
        "campaigns": campaigns_table(
            store.campaigns(here.session, here.scope), here.today, here.language
        ),
    }
    if export_asked() in tables:
        return tables[export_asked()].csv()
    answer = render_template(
        "console/bonuses.html",
        active="console.bonuses",
        tables=tables,
        rule_form=rule or RuleForm(formdata=None),
        campaign_form=campaign or CampaignForm(formdata=None),
        publishing=here.may(Right.PUBLISH_TARIFFS),
        example=EXAMPLE,
    )
    return answer, 200 if rule is None and campaign is None else 422
