Feature: Time
  What the kit leaves out about waits and timeouts.

  Scenario: A Wait Computed From Data
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-wait-computed-from-data
      version: '1.0.0'
    do:
      - pause:
          wait: ${ .pause }
      - after:
          set:
            waited: true
    """
    And given the workflow input is:
    """yaml
    pause: PT0.02S
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    waited: true
    """
    And pause should run first
    And after should run after pause

  Scenario: A Task That Is Not Done In Time
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-task-that-is-not-done-in-time
      version: '1.0.0'
    do:
      - attempt:
          try:
            - slow:
                wait:
                  minutes: 10
                timeout:
                  after:
                    milliseconds: 30
          catch:
            errors:
              with:
                status: 408
            do:
              - mend:
                  set:
                    outcome: too late
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outcome: too late
    """
    And slow should fault
    And mend should run last

  Scenario: A Timeout Cuts Off What Is Inside
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-timeout-cuts-off-what-is-inside
      version: '1.0.0'
    do:
      - attempt:
          try:
            - both:
                fork:
                  branches:
                    - first:
                        wait:
                          minutes: 10
                    - second:
                        wait:
                          minutes: 20
                timeout:
                  after:
                    milliseconds: 30
          catch:
            do:
              - mend:
                  set:
                    outcome: cut off
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outcome: cut off
    """
    And first should be cancelled
    And second should be cancelled
    And both should fault

  Scenario: A Run That Is Not Done In Time
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-run-that-is-not-done-in-time
      version: '1.0.0'
    timeout:
      after:
        milliseconds: 40
    do:
      - slow:
          wait:
            minutes: 10
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    """

  # The answer is on its way when the deadline comes; the run goes on without it.
  Scenario: A Call That Answers Too Late
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-call-that-answers-too-late
      version: '1.0.0'
    do:
      - attempt:
          try:
            - ask:
                call: http
                with:
                  method: get
                  endpoint:
                    uri: https://services.example/slow/3000
                timeout:
                  after:
                    milliseconds: 200
          catch:
            as: problem
            do:
              - mend:
                  set:
                    status: ${ $problem.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 408
    """
