# One node with raft storage. For production: three nodes, and the seal key in a cloud KMS or an HSM instead of the
# environment.

storage "raft" {
  path                   = "/openbao/file"
  node_id                = "openbao"
  performance_multiplier = 1
}

# Unseals itself at every start with this key: 32 bytes, as 64 hexadecimal digits.
seal "static" {
  current_key_id = "1"
  current_key    = "env://OPENBAO_SEAL_KEY"
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/tls/server.crt"
  tls_key_file    = "/tls/server.key"
}

# Audit devices must be declared here: the API refuses to create them.
audit "file" "stdout" {
  options {
    file_path = "stdout"
  }
}

api_addr     = "https://openbao:8200"
cluster_addr = "https://openbao:8201"
ui           = false
