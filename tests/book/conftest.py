def pytest_configure(config):
    config.addinivalue_line(
        "markers", "guide: runs a row of the field guide on the libraries that are installed"
    )
