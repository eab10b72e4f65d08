Feature: Extensions
  What the kit leaves out about extensions: they run around a task, and change nothing of what it computes.

  Scenario: Extensions Run Around A Task
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: extensions-run-around-a-task
      version: '1.0.0'
    use:
      extensions:
        - logging:
            extend: set
            before:
              - logBefore:
                  wait:
                    milliseconds: 5
            after:
              - logAfter:
                  wait:
                    milliseconds: 5
    do:
      - compute:
          set:
            value: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    value: 1
    """
    And compute should run after logBefore
    And logAfter should run after compute

  Scenario: An Extension With A Condition
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: an-extension-with-a-condition
      version: '1.0.0'
    use:
      extensions:
        - logging:
            extend: all
            when: 'false'
            before:
              - logBefore:
                  wait:
                    milliseconds: 5
    do:
      - compute:
          set:
            value: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    value: 1
    """
    And compute should run last
