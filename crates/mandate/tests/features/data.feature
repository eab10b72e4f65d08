Feature: Data
  What the kit leaves out about data.

  # What a task exports is the context of those after it.
  Scenario: Export To Context
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: export
      version: '1.0.0'
    do:
      - remember:
          set:
            color: red
          export:
            as: '${ { seen: .color } }'
      - forget:
          set:
            nothing: true
      - recall:
          set:
            color: ${ $context.seen }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    color: red
    """

  Scenario: Input That Does Not Fit Its Schema
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: schema
      version: '1.0.0'
    input:
      schema:
        document:
          type: object
          required: [ quarter ]
    do:
      - keep:
          set:
            quarter: ${ .quarter }
    """
    And given the workflow input is:
    """yaml
    year: 2026
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
    status: 400
    """

  Scenario: A Retry Gives Up
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: retry
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
                status: 503
            retry:
              delay:
                milliseconds: 10
              limit:
                attempt:
                  count: 3
            do:
              - give-up:
                  set:
                    outcome: gave up
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outcome: gave up
    """

  Scenario: A Wait
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: wait
      version: '1.0.0'
    do:
      - pause:
          wait:
            milliseconds: 20
      - after:
          set:
            waited: true
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    waited: true
    """

  Scenario: An Output That Does Not Fit Its Schema
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: an-output-that-does-not-fit-its-schema
      version: '1.0.0'
    do:
      - keep:
          set:
            quarter: 3
          output:
            schema:
              document:
                type: object
                properties:
                  quarter:
                    type: string
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
    status: 400
    """
    And keep should fault

  # What does not fit is not kept.
  Scenario: An Export That Does Not Fit Its Schema
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: an-export-that-does-not-fit-its-schema
      version: '1.0.0'
    do:
      - attempt:
          try:
            - keep:
                set:
                  quarter: 3
                export:
                  as: ${ . }
                  schema:
                    document:
                      required: [ year ]
          catch:
            as: problem
            do:
              - tell:
                  set:
                    status: ${ $problem.status }
                    context: ${ $context }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 400
    context: {}
    """

  Scenario: Input And Output Of A Task
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: input-and-output-of-a-task
      version: '1.0.0'
    do:
      - shape:
          input:
            from: ${ .deep }
          set:
            value: ${ .value + 1 }
          output:
            as: ${ .value }
    """
    And given the workflow input is:
    """yaml
    deep:
      value: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    2
    """

  Scenario: Input And Output Of The Workflow
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: input-and-output-of-the-workflow
      version: '1.0.0'
    input:
      from: ${ .wrapped }
    do:
      - keep:
          set:
            value: ${ .value }
    output:
      as: '${ { result: .value } }'
    """
    And given the workflow input is:
    """yaml
    wrapped:
      value: 7
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    result: 7
    """
