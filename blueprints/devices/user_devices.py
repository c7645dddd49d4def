"""A user's devices, for managers: the owner's pages without those that show a password."""

from blueprints.web import guards, of_user

from . import routes
from .routes import DEVICE

blueprint = of_user.blueprint_of("devices", __name__, "devices")


@blueprint.get("/")
@guards.manager
def list_devices():
    return routes.list_devices()


@blueprint.get(f"{DEVICE}/name")
@guards.manager_asks
def name(device_id: int):
    return routes.name(device_id)


@blueprint.post(f"{DEVICE}/name")
@guards.manager_recently
def rename(device_id: int):
    return routes.rename(device_id)


@blueprint.get(f"{DEVICE}/disconnection")
@guards.manager_asks
def disconnection(device_id: int):
    return routes.disconnection(device_id)


@blueprint.post(f"{DEVICE}/disconnection")
@guards.manager_recently
def disconnect(device_id: int):
    return routes.disconnect(device_id)


@blueprint.get("/disconnection")
@guards.manager_asks
def disconnection_of_all():
    return routes.disconnection_of_all()


@blueprint.post("/disconnection")
@guards.manager_recently
def disconnect_all():
    return routes.disconnect_all()
