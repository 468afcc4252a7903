"""`python -m scaling_ood.serving MODEL`."""

from scaling_ood.serving.cli import serve

if __name__ == "__main__":
    serve()
