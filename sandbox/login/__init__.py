"""What both providers' logins share: consent pages, grants, authorization codes and tokens."""
