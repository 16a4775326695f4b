# make demo      a camera, the pose node and a table of how well it did (DEMO_ARGS="--help")
# make test      all tests but the slow ones (TEST_ARGS="-m slow", TEST_ARGS=test/test_config.py)
# make lint      what ruff says about style
# make setup     what the others do first: .venv and .colcon (PYTHON=python3.12 to choose)
# make clean     remove what make setup and the runs left behind

.PHONY: demo test lint setup clean

demo: setup
	@scripts/ros-run python -m casapose_ros.ros.demo $(DEMO_ARGS)

test: setup
	@scripts/ros-run python -m pytest $(TEST_ARGS)

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

setup:
	@scripts/setup.sh

clean:
	rm -rf .venv .colcon demo_out build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
