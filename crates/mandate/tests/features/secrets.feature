Feature: Secrets
  A secret fills a slot as a whole: the document names it, and never sees it.

  # No expression can read one.
  Scenario: A Secret As Data
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-secret-as-data
      version: '1.0.0'
    use:
      secrets:
        - login
    do:
      - take:
          set:
            key: ${ $secrets.login }
    """
    When the workflow is executed
    Then the workflow should be rejected

  Scenario: A Secret That Is Not Declared
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-secret-that-is-not-declared
      version: '1.0.0'
    do:
      - ask:
          call: http
          with:
            method: get
            endpoint:
              uri: https://guarded.example/basic
              authentication:
                bearer:
                  use: login
    """
    When the workflow is executed
    Then the workflow should be rejected because of 'login'
