"""Mail services as those see them who look after them."""

from postern.models import Account, Organisation, Service


def looked_after(account: Account):
    """The services that an account manages, with their organisations, by name: all of them for the operator, those of
    the own organisation for its owner and administrators, none for anybody else."""
    found = (
        Service.select(Service, Organisation).join(Organisation).order_by(Organisation.name, Service.name, Service.id)
    )
    if account.role == Account.OPERATOR:
        return found
    if not account.is_manager:
        return found.where(Service.id.is_null())
    return found.where(Service.organisation == account.organisation_id)


def find(account: Account, service_id: int) -> Service | None:
    """The service of this number, if the account manages it."""
    return looked_after(account).where(Service.id == service_id).first()
