"""A user's collaborators, for managers: the owner's pages, without those that add somebody."""

from blueprints.web import guards, of_user

from . import routes
from .routes import COLLABORATION

blueprint = of_user.blueprint_of("collaborations", __name__, "collaborators")


@blueprint.get("/")
@guards.manager
def list_collaborations():
    return routes.list_collaborations()


@blueprint.post("/implied")
@guards.manager_background
def implied():
    return routes.implied()


@blueprint.get(COLLABORATION)
@guards.manager
def details(collaboration_id: int):
    return routes.details(collaboration_id)


@blueprint.post(f"{COLLABORATION}/invitation")
@guards.manager_recently
def send_link_again(collaboration_id: int):
    return routes.send_link_again(collaboration_id)


@blueprint.get(f"{COLLABORATION}/permissions")
@guards.manager_asks
def show_permissions(collaboration_id: int):
    return routes.show_permissions(collaboration_id)


@blueprint.post(f"{COLLABORATION}/permissions")
@guards.manager_recently
def change_permissions(collaboration_id: int):
    return routes.change_permissions(collaboration_id)


@blueprint.get(f"{COLLABORATION}/reset")
@guards.manager_asks
def confirm_reset(collaboration_id: int):
    return routes.confirm_reset(collaboration_id)


@blueprint.post(f"{COLLABORATION}/reset")
@guards.manager_recently
def reset(collaboration_id: int):
    return routes.reset(collaboration_id)


@blueprint.get(f"{COLLABORATION}/disabling")
@guards.manager_asks
def confirm_disabling(collaboration_id: int):
    return routes.confirm_disabling(collaboration_id)


@blueprint.post(f"{COLLABORATION}/disabling")
@guards.manager_recently
def disable(collaboration_id: int):
    return routes.disable(collaboration_id)


@blueprint.get(f"{COLLABORATION}/removal")
@guards.manager_asks
def confirm_removal(collaboration_id: int):
    return routes.confirm_removal(collaboration_id)


@blueprint.post(f"{COLLABORATION}/removal")
@guards.manager_recently
def remove(collaboration_id: int):
    return routes.remove(collaboration_id)
