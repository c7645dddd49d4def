.PHONY: help run demo test test-long test-deploy bench check pictures letters dist deb image lock translations
.DEFAULT_GOAL := help

help: ## This list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

run: ## Serve the demo on http://localhost:8000 (HOST, PORT and POSTERN_* settings apply)
	@scripts/setup run
	@scripts/run

demo: ## A whole mail host on loopback: Dovecot, Postfix, Roundcube with the plugin, and the panel
	@scripts/setup demo
	@scripts/demo

# Hundreds of processes are started: each would compile all modules again if it kept nothing of that.
test test-long: export PYTHONDONTWRITEBYTECODE =

test: ## Every test, with real servers on loopback ports
	@scripts/setup test
	@.venv/bin/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -m "not long and not deploy"

test-deploy: ## From an empty Debian to a running service, and back: Debian 13 and 12, as root; package and image too
	@scripts/setup deploy
	@scripts/test-deploy trixie
	@scripts/test-deploy bookworm
	@scripts/test-deploy trixie package
	@scripts/test-deploy trixie mariadb
	@.venv/bin/pytest tests/deploy

test-long: ## The tests at full size
	@scripts/setup test
	@.venv/bin/pytest -m "not deploy"

bench: ## Speed, as ratios to a base measured in the same run
	@scripts/setup test
	@.venv/bin/python -m bench

check: ## Style of code and templates
	@scripts/setup test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/djlint --lint --quiet templates

pictures: ## Pictures of every page, in tests/pictures/pages, and what screen readers are told of it
	@scripts/setup test
	@.venv/bin/pytest -q -n 2 tests/browser/test_gallery.py -k shown --keep-pictures

letters: ## Pictures of every e-mail, in tests/pictures/letters
	@scripts/setup test
	@.venv/bin/python -m tests.letter_pictures

dist: ## A tarball that needs no Node: dist/postern-VERSION.tar.gz
	@scripts/setup run
	@scripts/dist

deb: ## A package for the Debian of this machine, of what is committed: dist/postern_VERSION_ARCHITECTURE.deb
	@scripts/setup run
	@scripts/deb "$$(scripts/dist)"

image: ## A container image for Docker and Podman, of that package: dist/postern_VERSION_ARCHITECTURE_image.tar
	@scripts/setup image
	@scripts/image "$$(scripts/deb "$$(scripts/dist)")"

lock: ## Lock the Python packages that requirements*.in name, with their checksums
	@scripts/setup test
	@scripts/lock

translations: ## Bring the catalogues of the languages up to date with the sentences
	@scripts/setup run
	@scripts/translations
