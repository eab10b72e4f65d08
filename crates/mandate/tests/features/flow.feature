Feature: Flow
  What the kit leaves out about loops, branches and conditions.

  Scenario: A Loop With Its Own Names
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-loop-with-its-own-names
      version: '1.0.0'
    do:
      - each:
          for:
            each: word
            in: ${ .words }
            at: place
          while: $place < 2
          do:
            - join:
                set:
                  words: ${ $input.words }
                  text: '${ (.text // "") + $word }'
    """
    And given the workflow input is:
    """yaml
    words: [ a, b, c ]
    """
    When the workflow is executed
    Then the workflow output should have a 'text' property with value:
    """yaml
    ab
    """

  Scenario: Branches That Are Put Together
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: branches-that-are-put-together
      version: '1.0.0'
    do:
      - both:
          fork:
            branches:
              - first:
                  set:
                    one: 1
              - second:
                  set:
                    two: 2
          output:
            as: '${ .[0] + .[1] }'
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    one: 1
    two: 2
    """
    And both should run first
    And second should run after first

  Scenario: A Competition Cuts Off Its Losers
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-competition-cuts-off-its-losers
      version: '1.0.0'
    do:
      - race:
          fork:
            compete: true
            branches:
              - slow:
                  wait:
                    minutes: 10
              - fast:
                  set:
                    winner: fast
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    winner: fast
    """
    And slow should be cancelled
    And fast should complete

  # Its `then` does not count, and it did not run.
  Scenario: A Task That Is Skipped
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: a-task-that-is-skipped
      version: '1.0.0'
    do:
      - skipped:
          if: ${ .wanted }
          set:
            done: true
          then: end
      - last:
          set:
            done: false
    """
    And given the workflow input is:
    """yaml
    wanted: false
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    done: false
    """
    And last should run first
    And last should run last

  Scenario: The End Out Of A Loop
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: the-end-out-of-a-loop
      version: '1.0.0'
    do:
      - each:
          for:
            in: ${ .words }
          do:
            - stop:
                set:
                  first: ${ $item }
                then: end
      - never:
          set:
            first: none
    """
    And given the workflow input is:
    """yaml
    words: [ a, b ]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    first: a
    """
    And stop should run last
