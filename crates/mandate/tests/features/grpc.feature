Feature: gRPC
  A method of the definition that the function pins, called at the function's connection with a token for this call.

  Scenario: One Message
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: greet
      version: '1.0.0'
    do:
      - greet:
          call: grpc
          with:
            proto:
              endpoint: https://greeter.example/greet.proto
            service:
              name: greet.Greeter
              host: 127.0.0.1
              port: 65535
            method: Greet
            arguments:
              text: ${ .name }
    """
    And given the workflow input is:
    """yaml
    name: Ann
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    text: Hello, Ann
    """

  Scenario: A Stream Is Collected
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: count
      version: '1.0.0'
    do:
      - count:
          call: grpc
          with:
            proto:
              endpoint: https://greeter.example/greet.proto
            service:
              name: greet.Greeter
              host: 127.0.0.1
              port: 65535
            method: Count
          output:
            as: '${ { texts: [ .[].text ] } }'
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    texts: [ one, two ]
    """

  Scenario: A Status Is An Error
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: nobody
      version: '1.0.0'
    do:
      - greet:
          try:
            - ask:
                call: grpc
                with:
                  proto:
                    endpoint: https://greeter.example/greet.proto
                  service:
                    name: greet.Greeter
                    host: 127.0.0.1
                    port: 65535
                  method: Greet
                  arguments:
                    text: nobody
          catch:
            errors:
              with:
                type: https://serverlessworkflow.io/spec/1.0.0/errors/communication
                status: 404
            do:
              - unknown:
                  set:
                    outcome: nobody there
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outcome: nobody there
    """
