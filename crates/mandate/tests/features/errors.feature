Feature: Errors
  What the kit leaves out about errors: retries against a service that fails, `then` of a catch, what passes by.

  # It really answers 503 two times; each attempt is a request of its own.
  Scenario: A Service That Fails Twice
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-service-that-fails-twice
      version: '1.0.0'
    do:
      - attempt:
          try:
            - ask:
                call: http
                with:
                  method: get
                  endpoint:
                    uri: https://services.example/flaky/twice/2
          catch:
            errors:
              with:
                status: 503
            retry:
              delay:
                milliseconds: 10
              backoff:
                exponential: {}
              limit:
                attempt:
                  count: 5
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    answered: 3
    """

  Scenario: A Service That Fails Too Often
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-service-that-fails-too-often
      version: '1.0.0'
    do:
      - attempt:
          try:
            - ask:
                call: http
                with:
                  method: get
                  endpoint:
                    uri: https://services.example/flaky/often/9
          catch:
            retry:
              delay:
                milliseconds: 10
              limit:
                attempt:
                  count: 2
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
    status: 503
    """
    And attempt should fault

  Scenario: A Catch That Goes On Elsewhere
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-catch-that-goes-on-elsewhere
      version: '1.0.0'
    do:
      - attempt:
          try:
            - fail:
                raise:
                  error:
                    type: https://example.com/errors/busy
                    status: 503
                    title: Busy
          catch:
            errors:
              with:
                type: https://example.com/errors/busy
            then: mend
      - between:
          set:
            outcome: passed through
      - mend:
          set:
            outcome: mended
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outcome: mended
    """
    And mend should run last
    And fail should fault
    And attempt should complete

  Scenario: An Error That Does Not Fit
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: an-error-that-does-not-fit
      version: '1.0.0'
    do:
      - attempt:
          try:
            - fail:
                raise:
                  error:
                    type: https://example.com/errors/busy
                    status: 503
                    title: Busy
          catch:
            errors:
              with:
                status: 404
            do:
              - never:
                  set:
                    outcome: caught
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://example.com/errors/busy
    status: 503
    title: Busy
    """
    And attempt should fault

  Scenario: A Raise In A Catch
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-raise-in-a-catch
      version: '1.0.0'
    do:
      - outer:
          try:
            - inner:
                try:
                  - fail:
                      raise:
                        error:
                          type: https://example.com/errors/first
                          status: 500
                          title: First
                catch:
                  do:
                    - worse:
                        raise:
                          error:
                            type: https://example.com/errors/second
                            status: 502
                            title: Second
          catch:
            as: problem
            do:
              - tell:
                  set:
                    title: ${ $problem.title }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    title: Second
    """
    And worse should run after fail
