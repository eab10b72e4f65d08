Feature: Authentication
  A credential comes from the vault, by the name of a secret: the Worker's manifest says which one it is.

  Scenario: Basic
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: basic
      version: '1.0.0'
    use:
      secrets:
        - login
    do:
      - look:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/basic
              authentication:
                basic:
                  username: ann
                  password: ${ $secrets.login }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    user: ann
    """

  # The service offers MD5 as well, and takes each nonce once.
  Scenario: Digest
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: digest
      version: '1.0.0'
    use:
      secrets:
        - login
      authentications:
        byDigest:
          digest:
            username: ann
            password: ${ $secrets.login }
    do:
      - look:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/digest
              authentication:
                use: byDigest
            query:
              page: '1'
      - lookAgain:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/digest?page=1
              authentication:
                use: byDigest
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    user: ann
    """

  Scenario: OAuth2 With Client Credentials
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: oauth2
      version: '1.0.0'
    use:
      secrets:
        - client
    do:
      - look:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/token
              authentication:
                oauth2:
                  authority: https://guarded.example
                  grant: client_credentials
                  client:
                    id: worker
                    secret: ${ $secrets.client }
                  scopes: [ read ]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    user: worker
    """

  # Each call gets a token of its own, which ends with it.
  Scenario: OpenID Connect, And No Token Is Left
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: oidc
      version: '1.0.0'
    use:
      secrets:
        - client
      authentications:
        provider:
          oidc:
            authority: https://guarded.example
            grant: client_credentials
            client:
              id: worker
              secret: ${ $secrets.client }
            scopes: [ read ]
    do:
      - look:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/token
              authentication:
                use: provider
      - count:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/live-tokens
              authentication:
                use: provider
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    count: 1
    """

  Scenario: A Refused Password Is An Error Of Authentication
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: wrong-user
      version: '1.0.0'
    use:
      secrets:
        - login
    do:
      - look:
          try:
            - ask:
                call: http
                with:
                  method: get
                  endpoint:
                    uri: https://guarded.example/basic
                    authentication:
                      basic:
                        username: somebody-else
                        password: ${ $secrets.login }
          catch:
            errors:
              with:
                type: https://serverlessworkflow.io/spec/1.0.0/errors/authentication
                status: 401
            do:
              - closed:
                  set:
                    outcome: not let in
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outcome: not let in
    """
