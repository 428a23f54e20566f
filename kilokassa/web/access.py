"""Who may open which endpoint; one that is not named here is closed to everyone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kilokassa.core.scope import Right, Role, Scope


@dataclass(frozen=True, slots=True)
class Access:
    """What an endpoint asks of the actor; the objects it shows are judged by their queries."""

    right: Right | None = None
    """None: open to anyone, signed in or not."""
    roles: frozenset[Role] | None = None
    """Where given, only these roles."""
    whole_retailer: bool = False
    """Only an actor who reaches everything: the page shows what belongs to no one account."""
    signed: bool = False
    """The request proves itself by a signature of its own; it bears no token of a session."""

    @property
    def anyone(self) -> bool:
        """Say whether even nobody may open it."""
        return self.right is None

    def allows(self, scope: Scope) -> bool:
        """Say whether an actor with this scope may open it."""
        if self.right is not None and not scope.may(self.right):
            return False
        if self.roles is not None and scope.role not in self.roles:
            return False
        return scope.whole_retailer or not self.whole_retailer


ANYONE: Final = Access()
SIGNED: Final = Access(signed=True)
SIGNED_IN: Final = Access(Right.VIEW)
STAFF: Final = Access(Right.VIEW_STAFF)
RETAILER: Final = Access(Right.VIEW_STAFF, whole_retailer=True)
RESIDENT: Final = Access(Right.VIEW, roles=frozenset({Role.RESIDENT}))
WALLETS: Final = Access(Right.MANAGE_WALLETS)
MONEY_OF_ALL: Final = Access(Right.MANAGE_WALLETS, whole_retailer=True)
PAYING: Final = Access(
    Right.VIEW, roles=frozenset({Role.RESIDENT, Role.OPERATOR, Role.ADMINISTRATOR})
)
METERS_OF_ALL: Final = Access(Right.MANAGE_METERS, whole_retailer=True)
SUBMIT_FOR_ANY: Final = Access(Right.SUBMIT_READINGS)
SUBMIT: Final = Access(Right.SUBMIT_READINGS, roles=frozenset({Role.RESIDENT}))
READINGS: Final = Access(Right.IMPORT_READINGS)
METERS: Final = Access(Right.MANAGE_METERS)
FINDINGS: Final = Access(Right.WORK_FINDINGS)
QUALITY: Final = Access(Right.RECORD_QUALITY)
COMPLAINTS: Final = Access(
    Right.VIEW, roles=frozenset({Role.RESIDENT, Role.COMPANY, Role.OPERATOR, Role.ADMINISTRATOR})
)
EXCHANGE: Final = Access(Right.IMPORT_READINGS, whole_retailer=True)
ACCOUNTS: Final = Access(Right.MANAGE_ACCOUNTS)
ACCOUNTS_OF_ALL: Final = Access(Right.MANAGE_ACCOUNTS, whole_retailer=True)
REFUNDS: Final = Access(
    Right.VIEW, roles=frozenset({Role.RESIDENT, Role.OPERATOR, Role.ADMINISTRATOR})
)
TARIFFS: Final = Access(Right.PUBLISH_TARIFFS)
PUBLISHING: Final = Access(Right.PUBLISH_TARIFFS, whole_retailer=True)
BILLING: Final = Access(Right.RUN_BILLING, whole_retailer=True)
CHOOSING: Final = Access(Right.CHOOSE_PLAN, roles=frozenset({Role.OPERATOR, Role.ADMINISTRATOR}))
CHOOSING_OWN: Final = Access(Right.CHOOSE_PLAN, roles=frozenset({Role.RESIDENT}))
ADMINISTRATION: Final = Access(Right.MANAGE_USERS, whole_retailer=True)
TOLD: Final = Access(
    Right.VIEW, roles=frozenset({Role.RESIDENT, Role.OPERATOR, Role.ADMINISTRATOR})
)
CHOOSING_ANY: Final = Access(Right.CHOOSE_PLAN)
KEEPING: Final = Access(
    Right.VIEW, roles=frozenset({Role.RESIDENT, Role.OPERATOR, Role.ADMINISTRATOR})
)
"""Who sets money aside: a resident own money, staff on the resident's paper."""

ACCESS: Final[Mapping[str, Access]] = {
    # Pages that stand before the door.
    "static": ANYONE,
    "pages.index": ANYONE,
    "pages.preferences": ANYONE,
    "pages.health": ANYONE,
    "pages.metrics": ANYONE,  # judged in the view: loopback, or an administrator
    "pages.robots": ANYONE,
    "security.login": ANYONE,
    "security.logout": ANYONE,
    # The console.
    "console.home": STAFF,
    "console.notices": STAFF,
    "console.notice": STAFF,
    "console.record_delivery": ACCOUNTS,
    "console.withdraw_delivery": ACCOUNTS,
    "console.send_notice_again": ACCOUNTS,
    "console.account_notices": STAFF,
    "console.state_notice_wishes": ACCOUNTS,
    "console.webhooks": RETAILER,
    "console.add_webhook": ADMINISTRATION,
    "console.webhook": RETAILER,
    "console.change_webhook": ADMINISTRATION,
    "console.accounts": STAFF,
    "console.account": STAFF,
    "console.account_consumption": STAFF,
    "console.top_up": WALLETS,
    "console.payments": RETAILER,
    "console.payment": RETAILER,
    "console.settle_payment": MONEY_OF_ALL,
    "console.payment_files": RETAILER,
    "console.send_payment_file": MONEY_OF_ALL,
    "console.payment_file": RETAILER,
    "console.payment_orders": RETAILER,
    "console.till": RETAILER,
    "console.line": STAFF,
    "console.moves": STAFF,
    "console.move_in": ACCOUNTS_OF_ALL,
    "console.settle_moves": ACCOUNTS_OF_ALL,
    "console.move_account": ACCOUNTS,
    "console.refunds": STAFF,
    "console.pay_refund": WALLETS,
    "console.drop_refund": WALLETS,
    "console.refund": WALLETS,
    "console.gift": WALLETS,
    "console.buildings": STAFF,
    "console.building": STAFF,
    "console.edit_building": METERS,
    "console.house_services": STAFF,
    "console.assign_house_service": ACCOUNTS,
    "console.end_house_service": ACCOUNTS,
    "console.services": STAFF,
    "console.service": STAFF,
    "console.publish_service": TARIFFS,
    "console.new_point": METERS,
    "console.point": STAFF,
    "console.edit_point": METERS,
    "console.record_life_event": METERS,
    "console.replace_meter": METERS,
    "console.verifications": STAFF,
    "console.tariffs": STAFF,
    "console.tariff": STAFF,
    "console.tariff_drafts": RETAILER,
    "console.new_tariff_draft": PUBLISHING,
    "console.check_tariff": PUBLISHING,
    "console.tariff_draft": RETAILER,
    "console.save_tariff_draft": PUBLISHING,
    "console.step_tariff_draft": PUBLISHING,
    "console.rehearsals": RETAILER,
    "console.rehearsal": RETAILER,
    "console.new_rehearsal": PUBLISHING,
    "console.go_on_rehearsal": PUBLISHING,
    "console.comparison": STAFF,
    "console.debtors": STAFF,
    "console.debt": STAFF,
    "console.state_flag": ACCOUNTS,
    "console.withdraw_flag": ACCOUNTS,
    "console.agreements": STAFF,
    "console.new_agreement": WALLETS,
    "console.sign_agreement": WALLETS,
    "console.end_agreement": WALLETS,
    "console.bonuses": RETAILER,
    "console.publish_bonus": PUBLISHING,
    "console.begin_bonus_campaign": PUBLISHING,
    "console.bonus_rule": RETAILER,
    "console.campaign": RETAILER,
    "console.account_bonuses": STAFF,
    "console.facts": STAFF,
    "console.state_fact": ACCOUNTS,
    "console.withdraw_fact": ACCOUNTS,
    "console.choose_plan": CHOOSING,
    "console.all_reserves": STAFF,
    "console.reserve_offers": STAFF,
    "console.publish_reserve_offer": PUBLISHING,
    "console.reserve_offer": STAFF,
    "console.reserve_costs": RETAILER,
    "console.state_credit_rate": PUBLISHING,
    "console.reserves": STAFF,
    "console.new_reserve": WALLETS,
    "console.reserve": STAFF,
    "console.add_to_reserve": WALLETS,
    "console.take_out_of_reserve": WALLETS,
    "console.price_series": STAFF,
    "console.one_price_series": STAFF,
    "console.begin_price_series": PUBLISHING,
    "console.import_prices": PUBLISHING,
    "console.import_peak_hours": PUBLISHING,
    "console.findings": STAFF,
    "console.finding": STAFF,
    "console.accept_findings": FINDINGS,
    "console.reopen_finding": FINDINGS,
    "console.device_events": STAFF,
    "console.import_events": READINGS,
    "console.quality": STAFF,
    "console.quality_event": STAFF,
    "console.new_quality": QUALITY,
    "console.decide_quality": QUALITY,
    "console.end_quality": QUALITY,
    "console.import_readings": READINGS,
    "console.export_readings": STAFF,
    "console.exported_readings": STAFF,
    "console.balances": STAFF,
    "console.balance": STAFF,
    "console.estimates": STAFF,
    "console.runs": RETAILER,
    "console.ledger": RETAILER,
    "console.close_month": BILLING,
    "console.jobs": BILLING,
    "console.run_job": BILLING,
    "console.recalculations": STAFF,
    "console.recalculate": BILLING,
    "console.documents": STAFF,
    "console.document_pdf": STAFF,
    "console.walk_rounds": READINGS,
    "console.walk_round": READINGS,
    "console.walk_round_paper": READINGS,
    "console.close_round": READINGS,
    "console.walk_round_meter": READINGS,
    "console.walk_round_photo": READINGS,
    "console.reading_photo": READINGS,
    "console.reading_windows": METERS_OF_ALL,
    # The account page.
    "account.choose": RESIDENT,
    "account.notices": RESIDENT,
    "account.notice": RESIDENT,
    "account.state_notice_wishes": RESIDENT,
    "account.home": RESIDENT,
    "account.consumption": RESIDENT,
    "account.charges": RESIDENT,
    "account.plan": RESIDENT,
    "account.comparison": RESIDENT,
    "account.debt": RESIDENT,
    "account.facts": RESIDENT,
    "account.bonuses": RESIDENT,
    "account.choose_plan": CHOOSING_OWN,
    "account.line": RESIDENT,
    "account.auto_top_up": RESIDENT,
    "account.confirm_auto_top_up": RESIDENT,
    "account.stop_auto_top_up": RESIDENT,
    "account.refund": RESIDENT,
    "account.drop_refund": RESIDENT,
    "account.operations": RESIDENT,
    "account.reserves": RESIDENT,
    "account.new_reserve": RESIDENT,
    "account.reserve": RESIDENT,
    "account.add_to_reserve": RESIDENT,
    "account.take_out_of_reserve": RESIDENT,
    "account.documents": RESIDENT,
    "account.document_pdf": RESIDENT,
    "account.top_up": RESIDENT,
    "account.payment_order": RESIDENT,
    "account.test_bank": RESIDENT,
    "account.complaint": RESIDENT,
    "account.readings": SUBMIT,
    "account.check_readings": SUBMIT,
    # The interface for other systems.
    "api-docs.openapi_json": ANYONE,
    "pages.api_docs": ANYONE,
    "api.accounts": SIGNED_IN,
    "api.notices": STAFF,
    "api.notice": STAFF,
    "api.record_delivery": ACCOUNTS,
    "api.withdraw_delivery": ACCOUNTS,
    "api.send_notice_again": ACCOUNTS,
    "api.account_notices": SIGNED_IN,
    "api.notice_wishes": SIGNED_IN,
    "api.state_notice_wishes": TOLD,
    "api.gateway_status": SIGNED,
    "api.webhooks": RETAILER,
    "api.add_webhook": ADMINISTRATION,
    "api.webhook": RETAILER,
    "api.change_webhook": ADMINISTRATION,
    "api.renew_webhook_secret": ADMINISTRATION,
    "api.test_webhook": ADMINISTRATION,
    "api.replay_webhook": ADMINISTRATION,
    "api.account": SIGNED_IN,
    "api.balance": SIGNED_IN,
    "api.entries": SIGNED_IN,
    "api.charge_lines": SIGNED_IN,
    "api.line_explanation": SIGNED_IN,
    "api.documents": SIGNED_IN,
    "api.document": SIGNED_IN,
    "api.document_pdf": SIGNED_IN,
    "api.top_up": WALLETS,
    "api.payments": RETAILER,
    "api.payment": RETAILER,
    "api.payment_trial": RETAILER,
    "api.payment_suggestions": MONEY_OF_ALL,
    "api.match_payment": MONEY_OF_ALL,
    "api.unmatch_payment": MONEY_OF_ALL,
    "api.return_payment": MONEY_OF_ALL,
    "api.payment_files": RETAILER,
    "api.payment_file": RETAILER,
    "api.send_payment_file": MONEY_OF_ALL,
    "api.top_up_split": SIGNED_IN,
    "api.payment_orders": SIGNED_IN,
    "api.place_payment_order": PAYING,
    "api.provider_payments": SIGNED,
    "api.moves": STAFF,
    "api.move": ACCOUNTS,
    "api.preview_move": ACCOUNTS,
    "api.settle_moves": ACCOUNTS_OF_ALL,
    "api.refunds": SIGNED_IN,
    "api.ask_refund": REFUNDS,
    "api.pay_refund": WALLETS,
    "api.drop_refund": REFUNDS,
    "api.transfer": REFUNDS,
    "api.give": WALLETS,
    "api.auto_top_up": SIGNED_IN,
    "api.agree_auto_top_up": REFUNDS,
    "api.confirm_auto_top_up": REFUNDS,
    "api.stop_auto_top_up": REFUNDS,
    "api.buildings": STAFF,
    "api.building": STAFF,
    "api.points": STAFF,
    "api.point": STAFF,
    "api.verifications": STAFF,
    "api.record_event": METERS,
    "api.replace_meter": METERS,
    "api.tariffs": SIGNED_IN,
    "api.tariff": SIGNED_IN,
    "api.tariff_picture": SIGNED_IN,
    "api.tariff_drafts": RETAILER,
    "api.begin_tariff_draft": PUBLISHING,
    "api.tariff_draft": RETAILER,
    "api.save_tariff_draft": PUBLISHING,
    "api.step_tariff_draft": PUBLISHING,
    "api.check_tariff": PUBLISHING,
    "api.rehearsals": RETAILER,
    "api.rehearsal": RETAILER,
    "api.begin_rehearsal": PUBLISHING,
    "api.comparison": SIGNED_IN,
    "api.debtors": STAFF,
    "api.debt": SIGNED_IN,
    "api.flags": STAFF,
    "api.state_flag": ACCOUNTS,
    "api.withdraw_flag": ACCOUNTS,
    "api.agreements": SIGNED_IN,
    "api.sign_agreement": WALLETS,
    "api.end_agreement": WALLETS,
    "api.bonus_rules": SIGNED_IN,
    "api.publish_bonus_rule": PUBLISHING,
    "api.check_bonus_rule": SIGNED_IN,
    "api.campaigns": RETAILER,
    "api.begin_new_campaign": PUBLISHING,
    "api.campaign_report": RETAILER,
    "api.account_bonuses": SIGNED_IN,
    "api.preview_bonus": SIGNED_IN,
    "api.facts": SIGNED_IN,
    "api.state_fact": ACCOUNTS,
    "api.withdraw_fact": ACCOUNTS,
    "api.plan_choice": SIGNED_IN,
    "api.choose_plan": CHOOSING_ANY,
    "api.reserve_offers": SIGNED_IN,
    "api.publish_reserve_offer": PUBLISHING,
    "api.reserve_calculation": SIGNED_IN,
    "api.reserves": SIGNED_IN,
    "api.sign_reserve": KEEPING,
    "api.reserve": SIGNED_IN,
    "api.add_to_reserve": KEEPING,
    "api.take_out_of_reserve": KEEPING,
    "api.reserve_loss": SIGNED_IN,
    "api.reserve_costs": RETAILER,
    "api.state_credit_rate": PUBLISHING,
    "api.price_series": STAFF,
    "api.begin_price_series": PUBLISHING,
    "api.price_days": STAFF,
    "api.send_prices": PUBLISHING,
    "api.peak_hours": STAFF,
    "api.send_peak_hours": PUBLISHING,
    "api.house_balance": STAFF,
    "api.services": STAFF,
    "api.service": STAFF,
    "api.publish_service": TARIFFS,
    "api.house_services": STAFF,
    "api.assign_house_service": ACCOUNTS,
    "api.end_house_service": ACCOUNTS,
    "api.house_suspects": STAFF,
    "api.estimates": STAFF,
    "api.import_readings": READINGS,
    "api.export_readings": STAFF,
    "api.export_exchange": EXCHANGE,
    "api.register_readings": SIGNED_IN,
    "api.submit_register_readings": SUBMIT_FOR_ANY,
    "api.walk_rounds": READINGS,
    "api.open_round": READINGS,
    "api.walk_round": READINGS,
    "api.close_round": READINGS,
    "api.walk_round_readings": READINGS,
    "api.walk_round_outcome": READINGS,
    "api.walk_round_photo": READINGS,
    "api.close_month": BILLING,
    "api.jobs": BILLING,
    "api.trial_balance": RETAILER,
    "api.run_job": BILLING,
    "api.recalculations": STAFF,
    "api.pending_recalculations": STAFF,
    "api.recalculate": BILLING,
    "api.findings": STAFF,
    "api.finding": STAFF,
    "api.accept_some_findings": FINDINGS,
    "api.reopen_one_finding": FINDINGS,
    "api.device_events": STAFF,
    "api.send_events": READINGS,
    "api.quality_events": SIGNED_IN,
    "api.quality_event": SIGNED_IN,
    "api.record_quality_event": QUALITY,
    "api.decide_quality_event": QUALITY,
    "api.end_quality_event": QUALITY,
    "api.complain": COMPLAINTS,
}
